// Named steps of the protocol at which a test build can stop a process.
//
// In normal builds STEP() is nothing but the step's name, for the reader. With
// -DCARRITO_STEPS (V=chaos) the process that finds and removes the file of that name in
// the directory CARRITO_STEPS_DIR stops itself (SIGSTOP) right there.
#pragma once

#ifdef CARRITO_STEPS
#define STEP(name) step_reached(name)
void step_reached(const char *name);
#else
#define STEP(name) ((void)0)
#endif
