/* Files and directories under /tmp through stdio and the plain calls. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(const char *what, int ok)
{
	printf("%s: %s\n", what, ok ? "ok" : strerror(errno));
}

static int by_name(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void list(const char *path)
{
	DIR *dir = opendir(path);
	if (dir == NULL) {
		perror("opendir");
		return;
	}
	char *names[32];
	int count = 0;
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL && count < 32)
		names[count++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, count, sizeof names[0], by_name);
	for (int i = 0; i < count; i++) {
		printf("  %s\n", names[i]);
		free(names[i]);
	}
}

int main(void)
{
	char home[64];
	snprintf(home, sizeof home, "/tmp/files-%d", (int)getpid());
	check("mkdir", mkdir(home, 0755) == 0);
	check("chdir", chdir(home) == 0);
	char where[256];
	check("getcwd", getcwd(where, sizeof where) != NULL &&
				strcmp(where, home) == 0);

	FILE *file = fopen("numbers", "w");
	if (file == NULL) {
		perror("fopen");
		return 1;
	}
	for (int i = 0; i < 5000; i++)
		fprintf(file, "line %d\n", i);
	check("fclose", fclose(file) == 0);
	struct stat st;
	check("stat", stat("numbers", &st) == 0);
	printf("size %lld, regular %d\n", (long long)st.st_size,
	       S_ISREG(st.st_mode));

	file = fopen("numbers", "r");
	char line[64];
	int lines = 0;
	while (fgets(line, sizeof line, file) != NULL)
		lines++;
	printf("%d lines, the last one %s", lines, line);
	check("fseek", fseek(file, 7 * 10, SEEK_SET) == 0);
	if (fgets(line, sizeof line, file) != NULL)
		printf("at 70: %s", line);
	fclose(file);

	file = fopen("numbers", "a+");
	fputs("appended\n", file);
	check("rewind", fseek(file, -9, SEEK_END) == 0);
	if (fgets(line, sizeof line, file) != NULL)
		printf("the end: %s", line);
	fclose(file);

	int fd = open("hole", O_RDWR | O_CREAT | O_EXCL, 0644);
	check("open O_EXCL", fd >= 0);
	check("pwrite far out", pwrite(fd, "x", 1, 100000) == 1);
	char byte = 1;
	check("the hole is zero", pread(fd, &byte, 1, 50000) == 1 && byte == 0);
	check("ftruncate", ftruncate(fd, 10) == 0);
	check("lseek", lseek(fd, 0, SEEK_END) == 10);
	close(fd);
	check("no second O_EXCL",
	      open("hole", O_RDWR | O_CREAT | O_EXCL, 0644) < 0 &&
		      errno == EEXIST);
	list(".");
	check("rename", rename("hole", "moved") == 0);
	check("the old name is gone", access("hole", F_OK) != 0 &&
					      errno == ENOENT);
	check("rmdir of a full one fails",
	      rmdir(home) != 0 && errno == ENOTEMPTY);
	check("unlink", unlink("moved") == 0);
	check("unlink", unlink("numbers") == 0);
	list(".");
	check("chdir /", chdir("/") == 0);
	check("rmdir", rmdir(home) == 0);
	check("no such directory", opendir(home) == NULL && errno == ENOENT);
	return 0;
}
