/// The guest interface of the Hypervisor Top-Level Functional Specification (TLFS), version 6.0b
/// and its online edition, as far as it needs no synthetic interrupt controller: CPUID leaves,
/// synthetic MSRs, hypercall page, reference time, guest crash reports.
package dev.partita.enlightenment;
