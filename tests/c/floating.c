/* The floating-point and vector state of each process is its own: it is kept
 * over fork, over system calls, and while several processes take turns. */
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 6

/* Sixteen vector registers and the x87 stack in use at once, with the CPU
 * given away in between. Returns how often a register was not as left. */
static int registers(uint64_t mark)
{
	int wrong = 0;
	for (int round = 0; round < 2000; round++) {
		uint64_t expect = mark * 1000003 + round, low, high;
		double on_stack = (double)(expect & 0xffff) + 0.5, popped;
		long result;
		__asm__ volatile(
			"movq %[expect], %%xmm0\n\t"
			"movq %[expect], %%xmm15\n\t"
			"fldl %[on_stack]\n\t"
			"syscall\n\t"
			"movq %%xmm0, %[low]\n\t"
			"movq %%xmm15, %[high]\n\t"
			"fstpl %[popped]"
			: "=a"(result), [low] "=&r"(low), [high] "=&r"(high),
			  [popped] "=m"(popped)
			: "a"(24L /* sched_yield */), [expect] "r"(expect),
			  [on_stack] "m"(on_stack)
			: "rcx", "r11", "memory", "xmm0", "xmm15");
		wrong += low != expect || high != expect || popped != on_stack ||
			 result != 0;
		/* And without a system call: a long loop that the timer interrupts. */
		double sum = (double)mark;
		for (int i = 0; i < 500; i++)
			sum = sum * 1.0000001 + 0.25;
		double again = (double)mark;
		for (volatile int i = 0; i < 500; i++)
			again = again * 1.0000001 + 0.25;
		wrong += memcmp(&sum, &again, sizeof sum) != 0;
	}
	return wrong;
}

int main(void)
{
	double series = 0;
	for (int k = 0; k < 1000000; k++)
		series += (k % 2 ? -4.0 : 4.0) / (2 * k + 1);
	printf("pi by a slow series: %.6f\n", series);
	printf("1/3 = %.17g, 2^-1074 = %g, long double %.15Lg\n", 1.0 / 3,
	       4.9406564584124654e-324, 1.0L / 3);

	fesetround(FE_UPWARD);
	volatile double one = 1, three = 3;
	double up = one / three;
	fflush(stdout);
	pid_t pids[WORKERS];
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] < 0) {
			perror("fork");
			return 1;
		}
		if (pids[i] == 0) {
			/* The child inherits the rounding mode, then sets its own. */
			if (one / three != up)
				_exit(200);
			fesetround(i % 2 ? FE_DOWNWARD : FE_UPWARD);
			double mine = one / three;
			int wrong = registers(i + 1);
			if (one / three != mine)
				_exit(201);
			_exit(wrong > 100 ? 100 : wrong);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		int status;
		waitpid(pids[i], &status, 0);
		if (WIFEXITED(status))
			printf("worker %d: %d wrong\n", i, WEXITSTATUS(status));
		else
			printf("worker %d: signal %d\n", i, WTERMSIG(status));
	}
	printf("the rounding mode is still upward: %d\n",
	       one / three == up && fegetround() == FE_UPWARD);
	return 0;
}
