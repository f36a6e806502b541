package dev.partita.engine.kvm;

/// What KVM may have or not (`KVM_CAP_*` in `<linux/kvm.h>`), as far as this engine asks.
enum Capability {
  KVM_CAP_USER_MEMORY(3),
  KVM_CAP_SET_TSS_ADDR(4),
  KVM_CAP_MP_STATE(14),
  KVM_CAP_IRQ_ROUTING(25),
  KVM_CAP_ADJUST_CLOCK(39),
  KVM_CAP_VCPU_EVENTS(41),
  KVM_CAP_DEBUGREGS(50),
  KVM_CAP_XSAVE(55),
  KVM_CAP_XCRS(56),
  KVM_CAP_TSC_CONTROL(60),
  KVM_CAP_MAX_VCPUS(66),
  KVM_CAP_TSC_DEADLINE_TIMER(72),
  KVM_CAP_SYNC_REGS(74),
  KVM_CAP_SIGNAL_MSI(77),
  KVM_CAP_SPLIT_IRQCHIP(121),
  KVM_CAP_IMMEDIATE_EXIT(136),
  KVM_CAP_X86_USER_SPACE_MSR(188),
  KVM_CAP_X86_MSR_FILTER(189),
  KVM_CAP_ENFORCE_PV_FEATURE_CPUID(190),
  KVM_CAP_DISABLE_QUIRKS2(213);

  final int number;

  Capability(int number) {
    this.number = number;
  }
}
