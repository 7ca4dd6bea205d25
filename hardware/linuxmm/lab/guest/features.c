/* One command per feature that needs more than demand for memory. */
#include "guest.h"

/* lazyfree MEGABYTES PRESSURE: MADV_FREE, a quarter written again, pressure, and what is left. */
static int lazyfree(int count, char **words)
{
	long pages, pressure, kept = 0, gone = 0, lost = 0;
	char *at, *more;

	if (count < 2)
		return 2;
	pages = atol(words[0]) * 256;
	pressure = atol(words[1]) * 256;
	at = anonymous(pages);
	madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	memset(at, 7, pages * PAGE);
	marker("MADV_FREE begin");
	if (madvise(at, pages * PAGE, MADV_FREE))
		fail("MADV_FREE");
	for (long page = 0; page < pages; page += 4)
		at[page * PAGE] = 9;
	marker("MADV_FREE written");
	more = anonymous(pressure);
	for (long page = 0; page < pressure; page++)
		more[page * PAGE] = 1;
	for (long page = 0; page < pages; page++) {
		if (page % 4 == 0 && at[page * PAGE] != 9)
			lost++;
		if (at[page * PAGE + 1] == 7)
			kept++;
		else
			gone++;
	}
	printf("{\"pages\":%ld,\"kept\":%ld,\"gone\":%ld,\"written_lost\":%ld}\n", pages, kept, gone, lost);
	return 0;
}

const struct command feature_commands[] = { { "lazyfree", lazyfree }, { 0, 0 } };
