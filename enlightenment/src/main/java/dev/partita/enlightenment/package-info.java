/// The guest interface of the Hypervisor Top-Level Functional Specification (TLFS), version 6.0b
/// and its online edition: CPUID leaves, synthetic MSRs, hypercall page and hypercalls, reference
/// time, synthetic interrupt controller and timers, guest crash reports.
package dev.partita.enlightenment;
