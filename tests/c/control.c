/* setjmp, qsort, bsearch, atexit and a deep stack. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf back;

static int depth(int n)
{
	volatile char room[4096];
	memset((char *)room, n, sizeof room);
	if (n == 0) {
		longjmp(back, 17);
	} else {
		int below = depth(n - 1);
		return below + room[100];
	}
}

static int ascending(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;
	return (a > b) - (a < b);
}

static void farewell(void)
{
	puts("at exit");
}

int main(void)
{
	atexit(farewell);
	int came = setjmp(back);
	if (came == 0)
		depth(500);
	printf("longjmp brought %d\n", came);

	enum { COUNT = 5000 };
	static int numbers[COUNT];
	unsigned seed = 7;
	for (int i = 0; i < COUNT; i++) {
		seed = seed * 1103515245 + 12345;
		numbers[i] = (int)(seed >> 4) % 100000;
	}
	qsort(numbers, COUNT, sizeof numbers[0], ascending);
	int wrong = 0;
	for (int i = 1; i < COUNT; i++)
		wrong += numbers[i - 1] > numbers[i];
	printf("sorted: %d %d %d, %d out of order\n", numbers[0],
	       numbers[COUNT / 2], numbers[COUNT - 1], wrong);
	int *found = bsearch(&numbers[1234], numbers, COUNT, sizeof numbers[0],
			     ascending);
	printf("found: %d\n", found != NULL && *found == numbers[1234]);
	exit(3);
}
