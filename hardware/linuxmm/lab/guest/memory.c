/* Demand for memory: mixed sizes and mobilities, pressure, fragments. */
#include "guest.h"
#include <sys/resource.h>
#include <sys/swap.h>

struct region {
	char *at;
	size_t pages;
};

/* churn SEED STEPS MOST LIMIT: map and touch, or give back a part, of 512 private regions. */
static int churn(int count, char **words)
{
	static struct region regions[512];
	size_t most, limit, total = 0;

	if (count < 4)
		return 2;
	seed_with(words[0]);
	most = atol(words[2]);
	limit = atol(words[3]);
	for (long step = atol(words[1]); step > 0; step--) {
		struct region *r = &regions[below(512)];

		if (r->pages) {
			size_t part = below(3) ? r->pages : below(r->pages) + 1;

			munmap(r->at, part * PAGE);
			r->at += part * PAGE;
			r->pages -= part;
			total -= part;
			continue;
		}
		r->pages = below(most) + 1;
		if (total + r->pages > limit) {
			r->pages = 0;
			continue;
		}
		r->at = anonymous(r->pages);
		for (size_t page = 0; page < r->pages; page++)
			r->at[page * PAGE] = 1;
		total += r->pages;
	}
	return 0;
}

/* pipes SEED STEPS PIPES: pages of the kernel's own, held in pipes and drained in any order. */
static int pipes(int count, char **words)
{
	static char block[65536];
	struct rlimit many = { 65536, 65536 };
	int (*ends)[2];
	long held;

	if (count < 3)
		return 2;
	seed_with(words[0]);
	held = atol(words[2]);
	setrlimit(RLIMIT_NOFILE, &many);
	ends = malloc(held * sizeof(*ends));
	if (!ends)
		fail("malloc");
	for (long n = 0; n < held; n++)
		ends[n][0] = -1;
	for (long step = atol(words[1]); step > 0; step--) {
		int *pipe_ends = ends[below(held)];

		if (pipe_ends[0] < 0) {
			if (pipe2(pipe_ends, O_NONBLOCK))
				pipe_ends[0] = -1;
			else if (!below(8))
				fcntl(pipe_ends[1], F_SETPIPE_SZ, (int)(PAGE << below(9)));
		} else if (below(10) < 6) {
			if (write(pipe_ends[1], block, PAGE * (1 + below(16))) < 0)
				continue;
		} else if (below(3)) {
			if (read(pipe_ends[0], block, PAGE * (1 + below(16))) < 0)
				continue;
		} else {
			close(pipe_ends[0]);
			close(pipe_ends[1]);
			pipe_ends[0] = -1;
		}
	}
	return 0;
}

/* fragment MEGABYTES STRIDE: keep every STRIDE-th page of a region, and stay until killed. */
static int fragment(int count, char **words)
{
	size_t pages;
	long stride;
	char *at;

	if (count < 2)
		return 2;
	pages = atol(words[0]) * 256;
	stride = atol(words[1]);
	at = anonymous(pages);
	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t page = 0; page < pages; page++)
		at[page * PAGE] = 1;
	for (size_t page = 0; page < pages; page++)
		if (page % stride)
			madvise(at + page * PAGE, PAGE, MADV_DONTNEED);
	puts("ready");
	pause();
	return 0;
}

/* hold MEGABYTES SECONDS [random|again] [ready]: touch memory, say so, and keep it. */
static int hold(int count, char **words)
{
	const char *how = count > 2 ? words[2] : "";
	size_t pages;
	char *at;

	if (count < 2)
		return 2;
	pages = atol(words[0]) * 256;
	at = anonymous(pages);
	for (size_t page = 0; page < pages; page++)
		if (!strcmp(how, "random"))
			for (size_t word = 0; word < PAGE; word += 8)
				*(uint64_t *)(at + page * PAGE + word) = next_word();
		else
			at[page * PAGE] = (char)page;
	if (!strcmp(how, "again"))
		for (int round = 0; round < 3; round++)
			for (size_t page = 0; page < pages; page++)
				at[page * PAGE]++;
	if (!strcmp(words[count - 1], "ready"))
		puts("ready");
	usleep((useconds_t)(atof(words[1]) * 1e6));
	return 0;
}

/* locked MEGABYTES SECONDS: memory that cannot be reclaimed. */
static int locked(int count, char **words)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	size_t pages;
	char *at;

	if (count < 2)
		return 2;
	pages = atol(words[0]) * 256;
	setrlimit(RLIMIT_MEMLOCK, &all);
	at = anonymous(pages);
	if (mlock(at, pages * PAGE))
		perror("mlock");
	usleep((useconds_t)(atof(words[1]) * 1e6));
	return 0;
}

/* swapon PRIORITY DEVICE */
static int swap_on(int count, char **words)
{
	if (count < 2)
		return 2;
	if (swapon(words[1], SWAP_FLAG_PREFER | (atoi(words[0]) & SWAP_FLAG_PRIO_MASK)))
		fail(words[1]);
	return 0;
}

const struct command memory_commands[] = {
	{ "churn", churn }, { "pipes", pipes }, { "fragment", fragment },
	{ "hold", hold }, { "locked", locked }, { "swapon", swap_on }, { 0, 0 },
};
