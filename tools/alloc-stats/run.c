/* SPDX-License-Identifier: MIT
 *
 * run.c - runs a command with libarena preloaded and reads its heap at its very end, just before
 * the kernel takes the memory back: at return from main, _exit, or a signal.
 *
 * ptrace gives that moment (PTRACE_EVENT_EXIT of the last thread); the process is seized, not
 * attached, so that job control and signals work as without.  Every stop that is not an end is
 * passed on at once.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Samples kept for a plot; when there are more, every second one goes and they come half as often. */
#define SAMPLES_MAX 1024
/* A process in which no libarena was found is asked again this often. */
#define ROOT_TRIES 50
/* Seconds between samples at first: a command of a second has a plot. */
#define SPACING 0.02

struct traced {
	pid_t pid;               /* of the process */
	pid_t *tid;              /* threads that have not reached their end */
	size_t ntids, capacity;
	struct target *target;   /* for samples */
	struct found_root roots[ROOTS_MAX];
	unsigned nroots, root_tries;
	size_t index;            /* in out->process */
};

static struct traced *procs;
static size_t nprocs, procs_capacity;
static struct run_result *out;
static bool with_children;
static pid_t command_pid;

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM};

/* ---- which library ------------------------------------------------------------------------- */

static char *beside_program(void)
{
	static const char *const places[] = {
		ALLOC_STATS_LIBDIR_FROM_BINDIR, /* installed, also when moved as a whole */
		"../../.libs",                  /* in a build tree */
	};
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	char *path;

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		path = grab_format("%s/%s/libarena.so.0", exe, places[i]);
		if (access(path, R_OK) == 0) {
			char *real = realpath(path, NULL);

			free(path);
			return real;
		}
		free(path);
	}
	path = grab_text(ALLOC_STATS_LIBDIR "/libarena.so.0");
	if (access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

char *run_library(const char *path)
{
	const char *given = path != NULL ? path : getenv("ARENA_LIBRARY");
	char *found;

	if (given == NULL || *given == '\0') {
		found = beside_program();
		if (found == NULL)
			warning("libarena.so.0 is neither beside this program nor in "
				ALLOC_STATS_LIBDIR ": name it with --library");
		return found;
	}
	found = realpath(given, NULL);
	if (found == NULL)
		warning("%s: %s", given, strerror(errno));
	return found;
}

void run_exact(void)
{
	const char *old = getenv("ARENA_OPTIONS");
	char *text = old != NULL && *old != '\0' ? grab_format("%s,stats:2", old) : grab_text("stats:2");

	setenv("ARENA_OPTIONS", text, 1);
	free(text);
}

/* ---- processes and threads ------------------------------------------------------------------ */

static struct traced *proc_find(pid_t pid)
{
	for (size_t i = 0; i < nprocs; i++)
		if (procs[i].pid == pid)
			return &procs[i];
	return NULL;
}

static void sampling_stop(struct traced *p)
{
	target_close(p->target);
	roots_free(p->roots, p->nroots);
	p->target = NULL;
	p->nroots = p->root_tries = 0;
}

static struct traced *proc_add(pid_t pid)
{
	struct traced *p = proc_find(pid);

	if (p != NULL)
		return p;
	procs = grab_room(procs, nprocs, &procs_capacity, sizeof *procs);
	out->process = grab_room(out->process, out->n, &out->capacity, sizeof *out->process);
	out->process[out->n] = (struct ended){.pid = pid};
	out->process[out->n].samples.spacing = SPACING;
	p = &procs[nprocs++];
	*p = (struct traced){.pid = pid, .index = out->n++};
	return p;
}

static void proc_forget(struct traced *p)
{
	sampling_stop(p);
	free(p->tid);
	*p = procs[--nprocs];
}

static pid_t tgid_of(pid_t tid)
{
	char path[48], *status;
	const char *line;
	pid_t tgid = tid;

	snprintf(path, sizeof path, "/proc/%d/status", tid);
	status = read_whole(AT_FDCWD, path, 1 << 16, NULL);
	line = status != NULL ? strstr(status, "\nTgid:") : NULL;
	if (line != NULL)
		tgid = (pid_t)strtol(line + 6, NULL, 10);
	free(status);
	return tgid;
}

static void thread_add(struct traced *p, pid_t tid)
{
	for (size_t i = 0; i < p->ntids; i++)
		if (p->tid[i] == tid)
			return;
	p->tid = grab_room(p->tid, p->ntids, &p->capacity, sizeof *p->tid);
	p->tid[p->ntids++] = tid;
}

static void thread_remove(struct traced *p, pid_t tid)
{
	for (size_t i = 0; i < p->ntids; i++)
		if (p->tid[i] == tid)
			p->tid[i] = p->tid[--p->ntids];
}

static struct traced *proc_of_thread(pid_t tid)
{
	for (size_t i = 0; i < nprocs; i++)
		for (size_t k = 0; k < procs[i].ntids; k++)
			if (procs[i].tid[k] == tid)
				return &procs[i];
	return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void sample_add(struct ended *e, const struct quick *q)
{
	struct sample_list *l = &e->samples;

	if (l->n == SAMPLES_MAX) {
		for (size_t i = 0; i < SAMPLES_MAX / 2; i++)
			l->at[i] = l->at[2 * i];
		l->n = SAMPLES_MAX / 2;
		l->spacing *= 2;
	}
	l->at = grab_room(l->at, l->n, &l->capacity, sizeof *l->at);
	l->at[l->n++] = *q;
}

static void sample(struct traced *p)
{
	struct quick q;

	if (p->target == NULL) {
		char *error = NULL;
		int status;

		if (p->root_tries++ >= ROOT_TRIES)
			return;
		p->target = target_open_pid(p->pid, &error, &status);
		free(error);
		if (p->target == NULL)
			return;
		if (!target_list(p->target, false) ||
		    roots_find(p->target, p->roots, &p->nroots) == 0) {
			unsigned tries = p->root_tries;

			sampling_stop(p);
			p->root_tries = tries;
			return;
		}
		target_free_areas(p->target);
	}
	if (quick_take(p->target, p->roots, p->nroots, &q) && q.active > 0)
		sample_add(&out->process[p->index], &q);
}

static void read_end(struct traced *p, pid_t tid)
{
	struct ended *e = &out->process[p->index];
	char *error = NULL;
	int status;
	struct target *t = target_open_pid(tid, &error, &status);

	snapshot_free(e->last);
	free(e->why);
	e->last = NULL;
	e->why = NULL;
	if (t != NULL) {
		e->last = snapshot_take(t);
		if (e->last != NULL) {
			struct quick q = {now_seconds(), e->last->rss, e->last->live, e->last->active,
					  e->last->mapped, e->last->dirty};

			e->last->pid = p->pid;
			sample_add(e, &q);
		} else {
			e->why = grab_text(t->error);
		}
		target_close(t);
	} else {
		e->why = error;
	}
}

/* ---- the stops of the traced -------------------------------------------------------------------- */

static void thread_ends(pid_t tid)
{
	struct traced *p = proc_of_thread(tid);

	if (p == NULL)
		return;
	thread_remove(p, tid);
	if (p->ntids == 0) {
		sampling_stop(p);
		p->root_tries = ROOT_TRIES;
		read_end(p, tid);
	}
}

static void thread_appears(pid_t tid)
{
	pid_t pid = tgid_of(tid);
	struct traced *p = proc_find(pid);

	if (p == NULL && (pid == command_pid || with_children))
		p = proc_add(pid);
	if (p != NULL)
		thread_add(p, tid);
}

static void exec_done(pid_t pid)
{
	struct traced *p = proc_find(pid);

	if (p == NULL)
		return;
	sampling_stop(p);
	p->ntids = 0;
	thread_add(p, pid);
	free(out->process[p->index].samples.at);
	out->process[p->index].samples = (struct sample_list){.spacing = SPACING};
}

static void stopped(pid_t tid, int status)
{
	int event = status >> 16, sig = WSTOPSIG(status);
	unsigned long message = 0;

	switch (event) {
	case PTRACE_EVENT_EXIT:
		thread_ends(tid);
		sig = 0;
		break;
	case PTRACE_EVENT_EXEC:
		exec_done(tid);
		sig = 0;
		break;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &message) == 0)
			thread_appears((pid_t)message);
		sig = 0;
		break;
	case PTRACE_EVENT_STOP:
		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) {
			ptrace(PTRACE_LISTEN, tid, 0, 0);
			return;
		}
		if (proc_of_thread(tid) == NULL)
			thread_appears(tid);
		sig = 0;
		break;
	default:
		break;
	}
	if (proc_of_thread(tid) == NULL && event == PTRACE_EVENT_STOP)
		ptrace(PTRACE_DETACH, tid, 0, 0);
	else
		ptrace(PTRACE_CONT, tid, 0, (void *)(long)sig);
}

/* Takes all that waits; true when the command has ended. */
static bool drain(void)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		if (WIFSTOPPED(status)) {
			stopped(pid, status);
			continue;
		}
		if (pid == command_pid) {
			out->wait_status = status;
			ended = true;
		}
		if (proc_find(pid) != NULL)
			proc_forget(proc_find(pid));
	}
	return ended || (pid < 0 && errno == ECHILD);
}

/* ---- starting ------------------------------------------------------------------------------------ */

static void child_exec(char *const *argv, const char *library, int gate, int report,
		       const sigset_t *mask)
{
	const char *old = getenv("LD_PRELOAD");
	char *preload = old != NULL && *old != '\0' ? grab_format("%s:%s", library, old)
						    : grab_text(library);
	int saved;
	char c;

	if (read(gate, &c, 1) != 1)
		_exit(EXIT_CANNOT_RUN);
	setenv("LD_PRELOAD", preload, 1);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	saved = errno;
	if (write(report, &saved, sizeof saved) != sizeof saved)
		saved = ENOEXEC;
	_exit(saved == ENOENT ? EXIT_CANNOT_RUN : EXIT_CANNOT_RUN - 1);
}

static void start(char *const *argv, const char *library, const sigset_t *mask)
{
	long options = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE;
	int gate[2], report[2], error = 0;

	if (with_children)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	if (pipe2(gate, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0)
		fatal(EXIT_FAILED, "pipe: %s", strerror(errno));
	fflush(NULL);
	command_pid = fork();
	if (command_pid < 0)
		fatal(EXIT_FAILED, "fork: %s", strerror(errno));
	if (command_pid == 0)
		child_exec(argv, library, gate[0], report[1], mask);
	close(gate[0]);
	close(report[1]);
	thread_add(proc_add(command_pid), command_pid);
	if (ptrace(PTRACE_SEIZE, command_pid, 0, (void *)options) != 0)
		warning("ptrace: %s: the heap cannot be read at the command's end, only shortly before",
			strerror(errno));
	if (write(gate[1], "", 1) != 1)
		fatal(EXIT_FAILED, "pipe: %s", strerror(errno));
	close(gate[1]);
	/* The pipe closes at a successful exec, whose stop must be passed on first. */
	fcntl(report[0], F_SETFL, O_NONBLOCK);
	for (;;) {
		ssize_t n = read(report[0], &error, sizeof error);

		if (n == sizeof error) {
			waitpid(command_pid, NULL, __WALL | WNOHANG);
			fatal(error == ENOENT ? EXIT_CANNOT_RUN : EXIT_CANNOT_RUN - 1, "%s: %s", argv[0],
			      strerror(error));
		}
		if (n == 0)
			break;
		usleep(500);
	}
	close(report[0]);
}

void run_command(char *const *argv, const char *library, bool children, struct run_result *result)
{
	sigset_t set, old;
	bool ended = false;

	out = result;
	with_children = children;
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (unsigned i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	start(argv, library, &old);
	for (double next = now_seconds(); !ended;) {
		double wait = next - now_seconds();
		struct timespec ts;
		siginfo_t info;
		int sig;

		if (wait <= 0) {
			for (size_t i = 0; i < nprocs; i++)
				sample(&procs[i]);
			wait = result->process[0].samples.spacing;
			next = now_seconds() + wait;
		}
		ts = (struct timespec){(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
		sig = sigtimedwait(&set, &info, &ts);
		/* What the terminal sends, the command has got by itself. */
		if (sig > 0 && sig != SIGCHLD && info.si_code <= 0)
			kill(command_pid, sig);
		ended = drain();
	}
	/* Children that live on are read as they are, and released when this program ends. */
	while (nprocs > 0) {
		if (procs[0].pid != command_pid && out->process[procs[0].index].last == NULL)
			read_end(&procs[0], procs[0].pid);
		proc_forget(&procs[0]);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
}

void run_exit_alike(int wait_status)
{
	struct rlimit none = {0, 0};
	sigset_t set;

	fflush(NULL);
	if (WIFEXITED(wait_status))
		_exit(WEXITSTATUS(wait_status));
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(wait_status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(wait_status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(WTERMSIG(wait_status));
	_exit(128 + WTERMSIG(wait_status));
}
