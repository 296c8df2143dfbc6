/* A handler may use every register of the floating-point unit, and the program does not notice:
 * x87, SSE with its control word, AVX where there is one. The handler begins with a unit as a
 * new program's, and what it changes in the frame is there when it has returned. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile unsigned seen_mxcsr, seen_fcw;
static volatile int magic_right, changes;

static void uses_all(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	ucontext_t *user = context;
	unsigned mxcsr, junk = 0x9fc0;
	unsigned short fcw;
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(fcw));
	seen_mxcsr = mxcsr;
	seen_fcw = fcw;
	__asm__ volatile("ldmxcsr %0; fninit; fldpi; fldpi; fldl2e" ::"m"(junk));
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7;"
			 "pcmpeqd %%xmm15, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0; vxorps %%ymm15, %%ymm15, %%ymm15"
				 ::: "xmm0", "xmm15");
	char *image = (char *)user->uc_mcontext.fpregs;
	uint32_t magic1, magic2, size;
	memcpy(&magic1, image + 464, 4);
	memcpy(&size, image + 480, 4);
	memcpy(&magic2, image + size, 4);
	magic_right = magic1 == 0x46505853 && magic2 == 0x46505845 &&
		      (uintptr_t)image % 64 == 0 && (user->uc_flags & 7) == 7;
	if (changes) {
		/* xmm3 of the program. */
		uint64_t value = 0x1122334455667788;
		memcpy(image + 160 + 3 * 16, &value, 8);
	}
	__asm__ volatile("fninit");
}

static void registers(void)
{
	static uint64_t ymm[2][4] __attribute__((aligned(32))) = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
	static uint64_t after[2][4] __attribute__((aligned(32)));
	unsigned mxcsr = 0x3f80, mxcsr_after;
	unsigned short fcw = 0x27f, fcw_after;
	double top = 0;
	int avx = __builtin_cpu_supports("avx");
	long pid = getpid(), result;
	uint64_t low[2];
	__asm__ volatile("ldmxcsr %0; fninit; fldcw %1; fld1" ::"m"(mxcsr), "m"(fcw));
	if (avx)
		__asm__ volatile("vmovaps %5, %%ymm0; vmovaps %6, %%ymm15; syscall;"
				 "vmovaps %%ymm0, %1; vmovaps %%ymm15, %2"
				 : "=a"(result), "=m"(after[0]), "=m"(after[1])
				 : "D"(pid), "S"((long)SIGUSR1), "m"(ymm[0]), "m"(ymm[1]), "0"(62L)
				 : "rcx", "r11", "memory", "xmm0", "xmm15");
	else
		__asm__ volatile("movaps %5, %%xmm0; movaps %6, %%xmm15; syscall;"
				 "movaps %%xmm0, %1; movaps %%xmm15, %2"
				 : "=a"(result), "=m"(after[0]), "=m"(after[1])
				 : "D"(pid), "S"((long)SIGUSR1), "m"(ymm[0]), "m"(ymm[1]), "0"(62L)
				 : "rcx", "r11", "memory", "xmm0", "xmm15");
	__asm__ volatile("stmxcsr %0; fnstcw %1; fstpl %2" : "=m"(mxcsr_after), "=m"(fcw_after), "=m"(top));
	unsigned normal = 0x1f80;
	__asm__ volatile("ldmxcsr %0; fninit" ::"m"(normal));
	memcpy(low, after, 16);
	size_t size = avx ? 32 : 16;
	printf("registers the same: %d %d, mxcsr %#x, fcw %#x, x87 %g\n",
	       memcmp(after[0], ymm[0], size) == 0, memcmp(after[1], ymm[1], size) == 0,
	       mxcsr_after, fcw_after, top);
	printf("in the handler: mxcsr %#x, fcw %#x, image right %d\n", seen_mxcsr, seen_fcw,
	       magic_right);
}

static void changed(void)
{
	uint64_t value = 1;
	long pid = getpid(), result;
	changes = 1;
	__asm__ volatile("movq %2, %%xmm3; syscall; movq %%xmm3, %1"
			 : "=a"(result), "=r"(value)
			 : "r"(value), "D"(pid), "S"((long)SIGUSR1), "0"(62L)
			 : "rcx", "r11", "memory", "xmm3");
	changes = 0;
	printf("changed: %#llx\n", (unsigned long long)value);
}

/* Flags and all general registers, with a red zone in use. */
static void general(void)
{
	uint64_t sum;
	__asm__ volatile("push %%rbp; mov $1, %%rbx; mov $2, %%rbp; mov $3, %%r12; mov $4, %%r13;"
			 "mov $5, %%r14; mov $6, %%r15; mov $7, %%r8; mov $8, %%r9; mov $9, %%r10;"
			 "movq $1000, -120(%%rsp); mov $39, %%eax; syscall; mov %%eax, %%edi;"
			 "mov $10, %%esi; mov $62, %%eax; std; syscall; pushfq; cld; pop %%rcx;"
			 "mov -128(%%rsp), %%rdx; lea (%%rbx, %%rbp), %%rax; add %%r12, %%rax; add %%r13, %%rax;"
			 "add %%r14, %%rax; add %%r15, %%rax; add %%r8, %%rax; add %%r9, %%rax; add %%r10, %%rax;"
			 "and $0x400, %%ecx; add %%rcx, %%rax; pop %%rbp"
			 : "=a"(sum)
			 :
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "memory", "cc");
	printf("general: %llu\n", (unsigned long long)sum);
}

int main(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = uses_all;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGUSR1, &action, NULL);
	registers();
	changed();
	general();
	return 0;
}
