// Names that nobody gives twice: for tokens and tombstones.
#pragma once

#define NONCE_MAX 40

// Draws this process's own part of all its nonces. Once, at start.
void nonce_setup(void);

// Writes "<kind> <nonce>", a fresh one, as NUL-terminated text.
void nonce_put(char out[NONCE_MAX], char kind);
