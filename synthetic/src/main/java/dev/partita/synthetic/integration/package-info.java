/// Integration services: small devices by which host and guest cooperate. Protocols as in Linux,
/// `include/linux/hyperv.h`, `drivers/hv/hv_util.c`, and OpenVMM, `vm/devices/hyperv_ic`.
package dev.partita.synthetic.integration;
