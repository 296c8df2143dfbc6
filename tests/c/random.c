/* getrandom, and what the C library takes from the auxiliary vector. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Volatile, so that the compiler does not foresee the error. */
static void *volatile nowhere = (void *)8;

/* Says how a call that should fail did; a parameter of its own, so that errno is read
 * after the call. */
static void expect_error(const char *what, long result, int error)
{
	printf("%s: %ld, the expected error %d\n", what, result, errno == error);
}

int main(void)
{
	unsigned char one[256], two[256];
	memset(one, 0, sizeof one);
	memset(two, 0, sizeof two);
	printf("getrandom: %zd %zd\n", getrandom(one, sizeof one, 0),
	       getrandom(two, sizeof two, GRND_NONBLOCK));
	printf("two draws differ: %d\n", memcmp(one, two, sizeof one) != 0);
	int seen[256] = { 0 }, distinct = 0;
	for (size_t i = 0; i < sizeof one; i++)
		distinct += !seen[one[i]]++;
	printf("many values: %d\n", distinct > 100);
	expect_error("bad address", getrandom(nowhere, 64, 0), EFAULT);
	expect_error("bad flags", getrandom(one, 8, 0x8000), EINVAL);

	printf("AT_PAGESZ %lu, AT_RANDOM set %d, AT_SECURE %lu\n",
	       getauxval(AT_PAGESZ), getauxval(AT_RANDOM) != 0,
	       getauxval(AT_SECURE));
	const char *program = (const char *)getauxval(AT_EXECFN);
	const char *slash = program ? strrchr(program, '/') : NULL;
	printf("AT_EXECFN is a path: %d\n", slash != NULL);
	printf("AT_PHNUM sane: %d, AT_ENTRY set: %d\n",
	       getauxval(AT_PHNUM) > 0 && getauxval(AT_PHNUM) < 64,
	       getauxval(AT_ENTRY) != 0);
	printf("AT_UID is right: %d\n", getauxval(AT_UID) == getuid());
	printf("page size %ld, clock ticks %ld, CPUs sane %d\n",
	       sysconf(_SC_PAGESIZE), sysconf(_SC_CLK_TCK),
	       sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	struct utsname name;
	printf("uname: %d, %s on %s\n", uname(&name), name.sysname, name.machine);
	return 0;
}
