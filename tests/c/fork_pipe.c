/* fork, pipe and wait with stdio on top: a chain of children that each add a
 * line, and a parent that reads until end of file. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 8

static int values[1024];

static int child(int number, int out)
{
	FILE *stream = fdopen(out, "w");
	if (stream == NULL)
		return 100;
	for (int i = 0; i < 1024; i++)
		values[i] += number;
	long sum = 0;
	for (int i = 0; i < 1024; i++)
		sum += values[i];
	fprintf(stream, "child %d sums %ld\n", number, sum);
	return fclose(stream) == 0 ? number : 101;
}

int main(void)
{
	for (int i = 0; i < 1024; i++)
		values[i] = i;
	for (int number = 0; number < CHILDREN; number++) {
		int ends[2];
		if (pipe(ends) != 0) {
			perror("pipe");
			return 1;
		}
		fflush(stdout);
		pid_t pid = fork();
		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (pid == 0) {
			close(ends[0]);
			_exit(child(number, ends[1]));
		}
		close(ends[1]);
		FILE *stream = fdopen(ends[0], "r");
		char line[128];
		while (fgets(line, sizeof line, stream) != NULL)
			printf("read: %s", line);
		fclose(stream);
		int status;
		if (waitpid(pid, &status, 0) != pid) {
			perror("waitpid");
			return 1;
		}
		printf("exited %d with %d\n", WIFEXITED(status), WEXITSTATUS(status));
	}
	long sum = 0;
	for (int i = 0; i < 1024; i++)
		sum += values[i];
	printf("the parent still sums %ld\n", sum);
	return 0;
}
