/* Alternative signal stacks that are too small, or there only while no handler runs (sigaltstack(2)). */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

#define ROOM (64 * 1024)
static char *memory;

static void catch(int signal, void (*handler)(int), int flags)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	action.sa_flags = flags;
	sigaction(signal, &action, NULL);
}

static void use_stack(size_t size, unsigned flags)
{
	/* In the middle of memory: what is below could be written. */
	stack_t stack = { .ss_sp = memory + ROOM / 2, .ss_size = size, .ss_flags = (int)flags };
	if (sigaltstack(&stack, NULL))
		printf("sigaltstack: %s\n", errno == ENOMEM ? "ENOMEM" : "refused");
}

static int on_it(void *place)
{
	char *at = place;
	return at >= memory && at < memory + ROOM;
}

/* Each handler is interrupted by the next, until there is no room for a frame. Not by raise: in
 * musl that has a set of signals on the stack, and may leave it below its end by itself. */
static volatile int depth;
static void deeper(int signal)
{
	depth++;
	if (depth < 40)
		kill(getpid(), signal);
}
static void too_small(void)
{
	use_stack(8192, 0);
	catch(SIGUSR1, deeper, SA_ONSTACK | SA_NODEFER);
	raise(SIGUSR1);
	printf("came back\n");
}

/* The same with a handler for what comes then: it has no room either. */
static void caught(int signal)
{
	(void)signal;
	static const char text[] = "SIGSEGV was caught\n";
	write(1, text, sizeof text - 1);
	_exit(5);
}
static void too_small_and_caught(void)
{
	catch(SIGSEGV, caught, SA_ONSTACK);
	too_small();
}

/* Its handler runs on the ordinary stack, which has room. */
static void too_small_and_caught_elsewhere(void)
{
	catch(SIGSEGV, caught, 0);
	too_small();
}

/* The stack goes away while a handler runs: another one uses it from its top again, and it may
 * be changed. */
static char *volatile first_place, *volatile second_place;
static void inner(int signal)
{
	char here;
	(void)signal;
	second_place = &here;
}
static void outer(int signal)
{
	char here;
	(void)signal;
	first_place = &here;
	stack_t now;
	sigaltstack(NULL, &now);
	printf("within: disabled %d, size %zu\n", !!(now.ss_flags & SS_DISABLE), now.ss_size);
	raise(SIGUSR2);
	stack_t other = { .ss_sp = memory, .ss_size = 8192 };
	printf("changed within: %d\n", sigaltstack(&other, NULL));
	raise(SIGUSR2);
	printf("then there: %d\n", second_place >= memory && second_place < memory + 8192);
}
static void disarmed(void)
{
	use_stack(16384, SS_AUTODISARM);
	catch(SIGUSR1, outer, SA_ONSTACK);
	catch(SIGUSR2, inner, SA_ONSTACK);
	raise(SIGUSR1);
	printf("outer on it %d\n", on_it(first_place));
	stack_t now;
	sigaltstack(NULL, &now);
	printf("afterwards: disabled %d, disarms %d, size %zu, its own %d\n",
	       !!(now.ss_flags & SS_DISABLE), !!((unsigned)now.ss_flags & SS_AUTODISARM), now.ss_size,
	       now.ss_sp == (void *)(memory + ROOM / 2));
}

/* Left by a jump, it stays away. */
static sigjmp_buf back;
static void jumps(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}
static void disarmed_for_good(void)
{
	use_stack(16384, SS_AUTODISARM);
	catch(SIGUSR1, jumps, SA_ONSTACK);
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	stack_t now;
	sigaltstack(NULL, &now);
	printf("after a jump: disabled %d\n", !!(now.ss_flags & SS_DISABLE));
}

static void run(const char *name, void (*body)(void))
{
	printf("%s\n", name);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		body();
		fflush(stdout);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	printf("  ended by signal %d, status %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

int main(void)
{
	memory = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	run("too small", too_small);
	run("too small, caught there", too_small_and_caught);
	run("too small, caught elsewhere", too_small_and_caught_elsewhere);
	run("disarmed", disarmed);
	run("disarmed for good", disarmed_for_good);
	return 0;
}
