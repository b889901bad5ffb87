// How far the work has got, on stderr: a bar on a terminal, else a line now and then.
#pragma once

// Seconds since some fixed moment.
double progress_clock(void);

// Call it every so often; done of total carts are finished, the work began at this clock.
void progress_show(unsigned done, unsigned total, double began);

// Takes the bar away again.
void progress_end(void);
