package dev.partita.engine.kvm;

/// The requests of `ioctl` on KVM's file descriptors (`<linux/kvm.h>`, `<asm-generic/ioctl.h>`).
enum Ioctl {
  // On /dev/kvm.
  KVM_GET_API_VERSION(0x00),
  KVM_CREATE_VM(0x01),
  KVM_GET_MSR_INDEX_LIST(Ioctl.READ | Ioctl.WRITE, 0x02, 4),
  KVM_CHECK_EXTENSION(0x03),
  KVM_GET_VCPU_MMAP_SIZE(0x04),
  KVM_GET_SUPPORTED_CPUID(Ioctl.READ | Ioctl.WRITE, 0x05, Structures.Cpuid.SIZE),

  // On a virtual machine.
  KVM_CREATE_VCPU(0x41),
  KVM_GET_DIRTY_LOG(Ioctl.WRITE, 0x42, Structures.DirtyLog.SIZE),
  KVM_SET_USER_MEMORY_REGION(Ioctl.WRITE, 0x46, Structures.MemoryRegion.SIZE),
  KVM_SET_TSS_ADDR(0x47),
  KVM_SET_IDENTITY_MAP_ADDR(Ioctl.WRITE, 0x48, 8),
  KVM_SET_GSI_ROUTING(Ioctl.WRITE, 0x6A, Structures.Routing.SIZE),
  KVM_IOEVENTFD(Ioctl.WRITE, 0x79, Structures.EventWrite.SIZE),
  KVM_GET_CLOCK(Ioctl.READ, 0x7C, Structures.Clock.SIZE),
  KVM_SIGNAL_MSI(Ioctl.WRITE, 0xA5, Structures.Msi.SIZE),
  KVM_X86_SET_MSR_FILTER(Ioctl.WRITE, 0xC6, Structures.MsrFilter.SIZE),
  KVM_RESET_DIRTY_RINGS(0xC7),

  // On a virtual machine or a virtual processor.
  KVM_ENABLE_CAP(Ioctl.WRITE, 0xA3, Structures.EnableCapability.SIZE),

  // On a virtual processor.
  KVM_RUN(0x80),
  KVM_GET_REGS(Ioctl.READ, 0x81, Structures.Registers.SIZE),
  KVM_SET_REGS(Ioctl.WRITE, 0x82, Structures.Registers.SIZE),
  KVM_GET_SREGS(Ioctl.READ, 0x83, Structures.SystemRegisters.SIZE),
  KVM_SET_SREGS(Ioctl.WRITE, 0x84, Structures.SystemRegisters.SIZE),
  KVM_TRANSLATE(Ioctl.READ | Ioctl.WRITE, 0x85, Structures.Translation.SIZE),
  KVM_INTERRUPT(Ioctl.WRITE, 0x86, 4),
  KVM_GET_MSRS(Ioctl.READ | Ioctl.WRITE, 0x88, Structures.Msrs.SIZE),
  KVM_SET_MSRS(Ioctl.WRITE, 0x89, Structures.Msrs.SIZE),
  KVM_SET_SIGNAL_MASK(Ioctl.WRITE, 0x8B, Structures.SignalMask.SIZE),
  KVM_GET_LAPIC(Ioctl.READ, 0x8E, 0x400),
  KVM_SET_LAPIC(Ioctl.WRITE, 0x8F, 0x400),
  KVM_SET_CPUID2(Ioctl.WRITE, 0x90, Structures.Cpuid.SIZE),
  KVM_GET_MP_STATE(Ioctl.READ, 0x98, 4),
  KVM_SET_MP_STATE(Ioctl.WRITE, 0x99, 4),
  KVM_NMI(0x9A),
  KVM_GET_VCPU_EVENTS(Ioctl.READ, 0x9F, Structures.Events.SIZE),
  KVM_SET_VCPU_EVENTS(Ioctl.WRITE, 0xA0, Structures.Events.SIZE),
  KVM_GET_DEBUGREGS(Ioctl.READ, 0xA1, Structures.DebugRegisters.SIZE),
  KVM_SET_DEBUGREGS(Ioctl.WRITE, 0xA2, Structures.DebugRegisters.SIZE),
  KVM_SET_TSC_KHZ(0xA2),
  KVM_GET_TSC_KHZ(0xA3),
  KVM_GET_XSAVE(Ioctl.READ, 0xA4, Structures.XSAVE_SIZE),
  KVM_GET_DEVICE_ATTR(Ioctl.WRITE, 0xE2, Structures.Attribute.SIZE),
  KVM_SET_XSAVE(Ioctl.WRITE, 0xA5, Structures.XSAVE_SIZE),
  KVM_GET_XCRS(Ioctl.READ, 0xA6, Structures.ExtendedControl.SIZE),
  KVM_SET_XCRS(Ioctl.WRITE, 0xA7, Structures.ExtendedControl.SIZE);

  /// KVMIO.
  private static final int TYPE = 0xAE;

  private static final int WRITE = 1;
  private static final int READ = 2;

  /// The request, as `ioctl` takes it: direction 31:30, size 29:16, type 15:8, number 7:0.
  final long request;

  Ioctl(int number) {
    this(0, number, 0);
  }

  Ioctl(int direction, int number, int size) {
    request = (long) direction << 30 | (long) size << 16 | Ioctl.TYPE << 8 | number;
  }
}
