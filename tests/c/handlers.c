/* Signal handlers: what they are told, what they may hold back, how they are left, and that
 * the program does not notice them otherwise. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096

static void catch(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO | flags;
	sigemptyset(&action.sa_mask);
	if (sigaction(signal, &action, NULL) != 0)
		perror("sigaction");
}

/* A handler that only notes what it was told. */
static volatile int calls, last_signal, last_code, last_pid_is_mine, last_value;
static void *volatile last_address;
static void notes(int signal, siginfo_t *info, void *context)
{
	(void)context;
	calls++;
	last_signal = signal;
	last_code = info->si_code;
	last_pid_is_mine = info->si_pid == getpid();
	last_value = info->si_value.sival_int;
	last_address = info->si_addr;
}

static void simple(void)
{
	catch(SIGUSR1, notes, 0);
	raise(SIGUSR1);
	printf("raise: calls %d, signal %d, code %d, from me %d\n", calls, last_signal,
	       last_code, last_pid_is_mine);
	kill(getpid(), SIGUSR1);
	printf("kill: calls %d, code %d, from me %d\n", calls, last_code, last_pid_is_mine);
	union sigval value = { .sival_int = 4711 };
	sigqueue(getpid(), SIGUSR1, value);
	printf("sigqueue: calls %d, code %d, value %d\n", calls, last_code, last_value);
	struct sigaction old;
	sigaction(SIGUSR1, NULL, &old);
	printf("the handler is told: %d, flags %#x\n", old.sa_sigaction == notes,
	       old.sa_flags & ~0x04000000);
}

static void once(void)
{
	calls = 0;
	catch(SIGUSR2, notes, SA_RESETHAND);
	raise(SIGUSR2);
	struct sigaction now;
	sigaction(SIGUSR2, NULL, &now);
	printf("once: calls %d, then default %d\n", calls, now.sa_handler == SIG_DFL);
}

/* Masks: the signal itself is held back, unless SA_NODEFER; sa_mask too. */
static volatile int depth, deepest, rounds;
static void nests(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (++rounds % 3 != 0)
		raise(signal);
	depth--;
}
static char order[64];
static void writes_order(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	char *end = order + strlen(order);
	sprintf(end, "(%d", signal == SIGUSR1 ? 1 : 2);
	if (signal == SIGUSR1)
		raise(SIGUSR2);
	strcat(order, ")");
}
static void masks(void)
{
	catch(SIGUSR1, nests, 0);
	raise(SIGUSR1);
	printf("held back: deepest %d\n", deepest);
	deepest = 0;
	catch(SIGUSR1, nests, SA_NODEFER);
	raise(SIGUSR1);
	printf("not held back: deepest %d\n", deepest);
	catch(SIGUSR1, writes_order, 0);
	catch(SIGUSR2, writes_order, 0);
	raise(SIGUSR1);
	printf("nested: %s\n", order);
	order[0] = 0;
	struct sigaction action = { .sa_sigaction = writes_order, .sa_flags = SA_SIGINFO };
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	printf("in turn: %s\n", order);
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	printf("afterwards: %d %d\n", sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));
}

/* Real-time signals come in order, lowest first, each one. */
static char queue[128];
static void writes_value(int signal, siginfo_t *info, void *context)
{
	(void)context;
	sprintf(queue + strlen(queue), " %d:%d", signal - SIGRTMIN, info->si_value.sival_int);
}
static void real_time(void)
{
	catch(SIGRTMIN + 1, writes_value, 0);
	catch(SIGRTMIN + 2, writes_value, 0);
	sigset_t set, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 4; i++) {
		union sigval value = { .sival_int = i };
		sigqueue(getpid(), SIGRTMIN + 2, value);
		sigqueue(getpid(), SIGRTMIN + 1, value);
	}
	sigpending(&pending);
	printf("pending: %d %d\n", sigismember(&pending, SIGRTMIN + 1),
	       sigismember(&pending, SIGRTMIN + 3));
	/* Let in one number at a time: of several, the frame of the last is on top. */
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, SIGRTMIN + 2);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	printf("queued:%s\n", queue);
	queue[0] = 0;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	printf("queued:%s\n", queue);
}

/* A jump out of the handler. */
static sigjmp_buf back;
static void jumps(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	last_address = info->si_addr;
	last_code = info->si_code;
	siglongjmp(back, 1);
}
static char *guarded;
static void jump(void)
{
	catch(SIGSEGV, jumps, 0);
	guarded = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < 3; round++)
		if (sigsetjmp(back, 1) == 0) {
			guarded[round * 100] = 1;
			printf("not reached\n");
		} else {
			printf("jump: offset %d, code %d\n", (int)((char *)last_address - guarded),
			       last_code);
		}
	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)16 = 1;
	printf("jump: address %d, code %d\n", (int)(intptr_t)last_address, last_code);
	if (sigsetjmp(back, 1) == 0)
		*(volatile char *)0x8000000000000000ull = 1;
	printf("jump: address %d, code %d\n", (int)(intptr_t)last_address, last_code);
}

/* A handler that repairs and lets the program try again. */
static volatile int repairs;
static void repairs_page(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	ucontext_t *user = context;
	uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);
	int write = user->uc_mcontext.gregs[REG_ERR] & 2;
	int told = user->uc_mcontext.gregs[REG_TRAPNO] == 14 &&
		   (void *)user->uc_mcontext.gregs[REG_CR2] == info->si_addr;
	repairs += write && told;
	mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
}
static void repair(void)
{
	char *area = mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	catch(SIGSEGV, repairs_page, 0);
	int sum = 0;
	for (int page = 0; page < 16; page++)
		area[page * PAGE + page] = page;
	for (int page = 0; page < 16; page++)
		sum += area[page * PAGE + page];
	printf("repaired %d pages, sum %d\n", repairs, sum);
}

/* A handler that changes where the program goes on. */
static void skips(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	ucontext_t *user = context;
	user->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	user->uc_mcontext.gregs[REG_RBX] = 77;
	last_code = info->si_code;
	last_value = (uintptr_t)info->si_addr + 2 ==
		     (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
}
static void skip(void)
{
	catch(SIGILL, skips, 0);
	long result = 1;
	__asm__ volatile("ud2" : "+b"(result));
	printf("skipped: %ld, code %d, address right %d\n", result, last_code, last_value);
}

static void divides(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	last_code = info->si_code;
	siglongjmp(back, 1);
}
/* Divides in the x87 unit (QEMU's own processor raises nothing for SSE), with some errors
 * trapping: 1 an invalid operation, 4 a division by zero. */
static void divide(double what, unsigned errors)
{
	unsigned short control = 0x37f & ~errors;
	double zero = 0;
	__asm__ volatile("fninit; fldcw %0; fldl %1; fldl %2; fdivrp; fwait" ::"m"(control),
			 "m"(what), "m"(zero));
}
static void arithmetic(void)
{
	catch(SIGFPE, divides, 0);
	volatile int zero = 0, many = 5;
	if (sigsetjmp(back, 1) == 0)
		many /= zero;
	printf("integer: code %d\n", last_code);
	last_code = 0;
	if (sigsetjmp(back, 1) == 0)
		divide(1, 4);
	printf("float: code %d\n", last_code);
	if (sigsetjmp(back, 1) == 0)
		divide(0, 1);
	__asm__ volatile("fninit");
	printf("float: code %d\n", last_code);
}

/* Traps. */
static void trap(void)
{
	calls = 0;
	catch(SIGTRAP, notes, 0);
	__asm__ volatile("int3");
	printf("int3: calls %d, code %d\n", calls, last_code);
	calls = 0;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop; pushfq;"
			 "andl $~0x100, (%%rsp); popfq; nop" ::: "memory", "cc");
	printf("stepped: %d, code %d\n", calls > 2, last_code);
}

/* The alternative stack. */
static char *volatile handler_sp;
static void notes_stack(int signal, siginfo_t *info, void *context)
{
	char here;
	(void)info;
	ucontext_t *user = context;
	handler_sp = &here;
	stack_t now;
	sigaltstack(NULL, &now);
	stack_t small = { .ss_flags = SS_DISABLE };
	int refused = sigaltstack(&small, NULL) == -1 && errno == EPERM;
	last_value = (now.ss_flags == SS_ONSTACK) + 2 * refused +
		     4 * (user->uc_stack.ss_sp == now.ss_sp);
	if (signal == SIGSEGV)
		siglongjmp(back, 1);
}
static int overflow(int level)
{
	volatile char room[512];
	memset((char *)room, level, sizeof room);
	return overflow(level + 1) + room[5];
}
static void alternative(void)
{
	size_t size = 64 * 1024;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = memory, .ss_size = size }, old;
	sigaltstack(NULL, &old);
	printf("at first: flags %d\n", old.ss_flags);
	stack_t tiny = { .ss_sp = memory, .ss_size = 1024 };
	int result = sigaltstack(&tiny, NULL);
	printf("too small: %d, ENOMEM %d\n", result, errno == ENOMEM);
	stack_t odd = { .ss_sp = memory, .ss_size = size, .ss_flags = 64 };
	result = sigaltstack(&odd, NULL);
	printf("odd: %d, EINVAL %d\n", result, errno == EINVAL);
	sigaltstack(&stack, NULL);
	catch(SIGUSR1, notes_stack, 0);
	raise(SIGUSR1);
	printf("without SA_ONSTACK: on it %d, %d\n",
	       handler_sp >= memory && handler_sp < memory + size, last_value);
	catch(SIGUSR1, notes_stack, SA_ONSTACK);
	raise(SIGUSR1);
	printf("with it: on it %d, %d\n", handler_sp >= memory && handler_sp < memory + size,
	       last_value);
	catch(SIGSEGV, notes_stack, SA_ONSTACK);
	for (int round = 0; round < 2; round++)
		if (sigsetjmp(back, 1) == 0)
			overflow(0);
	sigaltstack(NULL, &old);
	printf("overflowed twice: on it %d, flags now %d\n",
	       handler_sp >= memory && handler_sp < memory + size, old.ss_flags);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	sigaltstack(NULL, &old);
	printf("disabled: flags %d\n", old.ss_flags);
}

/* A child that ends as the handler says, or by what could not be delivered. */
static void returns(int signal) { (void)signal; }
static void run(const char *name, void (*body)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		body();
		_exit(99);
	}
	int status;
	while (waitpid(pid, &status, 0) != pid)
		;
	if (WIFSIGNALED(status))
		printf("%s: signal %d\n", name, WTERMSIG(status));
	else
		printf("%s: exit %d\n", name, WEXITSTATUS(status));
}
static void ends(int signal) { _exit(signal); }
static void faults_again(void)
{
	signal(SIGSEGV, returns);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*(volatile int *)8 = 1;
}
static void faults_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	*(volatile int *)8 = 1;
}
static void wild_handler(void)
{
	signal(SIGUSR1, (void (*)(int))0x10);
	raise(SIGUSR1);
}
static void wild_handler_caught(void)
{
	signal(SIGUSR1, (void (*)(int))0x10);
	signal(SIGSEGV, ends);
	raise(SIGUSR1);
}
static void no_stack(void)
{
	signal(SIGUSR1, returns);
	__asm__ volatile("mov $0x1000, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi;"
			 "mov $10, %%esi; mov $62, %%eax; syscall; ud2" ::: "memory");
}
static void inherits(void)
{
	signal(SIGUSR1, ends);
	raise(SIGUSR1);
}
static void stays_over_fork(void)
{
	signal(SIGUSR2, ends);
	pid_t pid = fork();
	if (pid == 0) {
		raise(SIGUSR2);
		_exit(98);
	}
	int status;
	waitpid(pid, &status, 0);
	_exit(WEXITSTATUS(status));
}

/* Every child is told of. */
static volatile int children, told;
static void reaps(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	int saved = errno, status;
	told += info->si_code == CLD_EXITED && info->si_status == 5;
	while (waitpid(-1, &status, WNOHANG) > 0)
		children += WEXITSTATUS(status) == 5;
	errno = saved;
}
static void child_loop(void)
{
	catch(SIGCHLD, reaps, SA_RESTART);
	for (int i = 0; i < 20; i++) {
		fflush(stdout);
		if (fork() == 0)
			_exit(5);
	}
	while (children < 20)
		usleep(1000);
	printf("children: %d, told of some %d\n", children, told > 0);
	signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	simple();
	once();
	masks();
	real_time();
	jump();
	repair();
	skip();
	arithmetic();
	trap();
	alternative();
	run("SEGV held back", faults_again);
	run("SEGV ignored", faults_ignored);
	run("wild handler", wild_handler);
	run("wild handler, caught", wild_handler_caught);
	run("no stack", no_stack);
	run("own handler", inherits);
	run("over fork", stays_over_fork);
	child_loop();
	return 0;
}
