/* system, popen and posix_spawn: what the C libraries build on
 * clone(CLONE_VM | CLONE_VFORK), and execve with an environment. */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("again, with %s and MARK=%s\n", argv[1],
		       strcmp(environ[0], "MARK=yes") == 0 ? "yes" : "?");
		return 9;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);

	int status = system("echo from the shell; exit 5");
	printf("system: exited %d with %d\n", WIFEXITED(status),
	       WEXITSTATUS(status));
	printf("a shell is there: %d\n", system(NULL) != 0);

	FILE *stream = popen("echo one; echo two", "r");
	if (stream == NULL) {
		perror("popen");
		return 1;
	}
	char line[64];
	while (fgets(line, sizeof line, stream) != NULL)
		printf("popen gave: %s", line);
	printf("pclose: %d\n", pclose(stream));
	stream = popen("cat", "w");
	fprintf(stream, "through cat\n");
	printf("pclose: %d\n", pclose(stream));

	pid_t pid;
	char *arguments[] = { argv[0], "an argument", NULL };
	char *environment[] = { "MARK=yes", NULL };
	int error = posix_spawn(&pid, argv[0], NULL, NULL, arguments,
				environment);
	/* The child prints too: wait first, so that the order is one. */
	if (error == 0 && waitpid(pid, &status, 0) == pid)
		printf("it exited with %d\n", WEXITSTATUS(status));
	printf("posix_spawn: %d\n", error);
	error = posix_spawn(&pid, "/no/such/program", NULL, NULL, arguments,
			    environment);
	printf("posix_spawn of nothing: %d, ENOENT %d\n", error != 0,
	       error == ENOENT);

	pid = vfork();
	if (pid == 0)
		_exit(11);
	waitpid(pid, &status, 0);
	printf("vfork: exited with %d\n", WEXITSTATUS(status));
	return 0;
}
