/* Start-up, arguments, environment, stdio and the heap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	printf("hello from C, %d arguments\n", argc - 1);
	for (int i = 1; i < argc; i++)
		printf("argument %d: \"%s\"\n", i, argv[i]);
	const char *name = getenv("GREETING");
	printf("GREETING=%s\n", name ? name : "(not set)");
	if (setenv("GREETING", "changed", 1) != 0)
		return 1;
	printf("GREETING=%s\n", getenv("GREETING"));

	char *text = malloc(64);
	if (text == NULL)
		return 1;
	snprintf(text, 64, "%08x %-5s| %+d %c %%", 0xc0ffee, "left", 42, 'x');
	puts(text);
	printf("length %zu\n", strlen(text));
	free(text);
	fflush(stdout);
	fprintf(stderr, "to standard error\n");
	return 7;
}
