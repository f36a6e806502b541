/// Boots an operating system directly, without firmware: puts a kernel, its parameters and its
/// initial RAM disk into guest memory, and gives the boot processor's first state.
package dev.partita.chipset.boot;
