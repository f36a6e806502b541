package dev.partita.engine.kvm;

/// The structures of KVM's interface on x86-64 (`<linux/kvm.h>`, `<asm/kvm.h>`): offsets and
/// sizes in bytes, one class for each. A test compares all of them with the headers.
final class Structures {
  /// `struct kvm_xsave` without the part for dynamically enabled features.
  static final int XSAVE_SIZE = 4096;

  private Structures() {}

  /// `struct kvm_run`, shared with the kernel.
  static final class Run {
    static final int REQUEST_INTERRUPT_WINDOW = 0;
    static final int IMMEDIATE_EXIT = 1;
    static final int EXIT_REASON = 8;
    static final int READY_FOR_INTERRUPT_INJECTION = 12;
    static final int HARDWARE_EXIT_REASON = 32;
    static final int HARDWARE_ENTRY_FAILURE_REASON = 32;
    static final int IO_DIRECTION = 32;
    static final int IO_SIZE = 33;
    static final int IO_PORT = 34;
    static final int IO_COUNT = 36;
    static final int IO_DATA_OFFSET = 40;
    static final int MMIO_ADDRESS = 32;
    static final int MMIO_DATA = 40;
    static final int MMIO_LENGTH = 48;
    static final int MMIO_IS_WRITE = 52;
    static final int INTERNAL_SUBERROR = 32;
    static final int INTERNAL_DATA_COUNT = 36;
    static final int INTERNAL_DATA = 40;
    static final int EMULATION_FLAGS = 40;
    static final int EMULATION_INSTRUCTION_SIZE = 48;
    static final int EMULATION_INSTRUCTION = 49;
    static final int EOI_VECTOR = 32;
    static final int MSR_ERROR = 32;
    static final int MSR_INDEX = 44;
    static final int MSR_DATA = 48;
    static final int VALID_REGISTERS = 288;
    static final int DIRTY_REGISTERS = 296;

    /// `s.regs.regs`, a {@link Registers}.
    static final int SYNC_REGISTERS = 304;

    static final int SIZE = 2352;

    private Run() {}
  }

  /// `struct kvm_regs`.
  static final class Registers {
    static final int RAX = 0;
    static final int RBX = 8;
    static final int RCX = 16;
    static final int RDX = 24;
    static final int RSI = 32;
    static final int RDI = 40;
    static final int RSP = 48;
    static final int RBP = 56;
    static final int R8 = 64;
    static final int RIP = 128;
    static final int RFLAGS = 136;
    static final int SIZE = 144;

    private Registers() {}

    /// Offset of a register by its number in an instruction (RAX, RCX, RDX, RBX, RSP, ...).
    static int general(int number) {
      return switch (number) {
        case 0 -> RAX;
        case 1 -> RCX;
        case 2 -> RDX;
        case 3 -> RBX;
        case 4 -> RSP;
        case 5 -> RBP;
        case 6 -> RSI;
        case 7 -> RDI;
        default -> {
          if (number < 8 || number > 15) {
            throw new IllegalArgumentException("no general register " + number);
          }
          yield R8 + 8 * (number - 8);
        }
      };
    }
  }

  /// `struct kvm_segment`.
  static final class Segment {
    static final int BASE = 0;
    static final int LIMIT = 8;
    static final int SELECTOR = 12;
    static final int TYPE = 14;
    static final int PRESENT = 15;
    static final int DPL = 16;
    static final int DB = 17;
    static final int S = 18;
    static final int L = 19;
    static final int G = 20;
    static final int AVL = 21;
    static final int UNUSABLE = 22;
    static final int SIZE = 24;

    private Segment() {}
  }

  /// `struct kvm_sregs`; its segments are {@link Segment}s, its tables have a base and a 16-bit
  /// limit at {@link #TABLE_LIMIT}.
  static final class SystemRegisters {
    static final int CS = 0;
    static final int DS = 24;
    static final int ES = 48;
    static final int FS = 72;
    static final int GS = 96;
    static final int SS = 120;
    static final int TR = 144;
    static final int LDT = 168;
    static final int GDT = 192;
    static final int IDT = 208;
    static final int CR0 = 224;
    static final int CR2 = 232;
    static final int CR3 = 240;
    static final int CR4 = 248;
    static final int CR8 = 256;
    static final int EFER = 264;
    static final int APIC_BASE = 272;
    static final int INTERRUPT_BITMAP = 280;
    static final int SIZE = 312;

    /// In `struct kvm_dtable`.
    static final int TABLE_LIMIT = 8;

    private SystemRegisters() {}
  }

  /// `struct kvm_translation`.
  static final class Translation {
    static final int LINEAR_ADDRESS = 0;
    static final int PHYSICAL_ADDRESS = 8;
    static final int VALID = 16;
    static final int SIZE = 24;

    private Translation() {}
  }

  /// `struct kvm_vcpu_events`.
  static final class Events {
    static final int EXCEPTION_INJECTED = 0;
    static final int EXCEPTION_VECTOR = 1;
    static final int EXCEPTION_HAS_ERROR_CODE = 2;
    static final int EXCEPTION_PENDING = 3;
    static final int EXCEPTION_ERROR_CODE = 4;
    static final int INTERRUPT_INJECTED = 8;
    static final int INTERRUPT_VECTOR = 9;
    static final int INTERRUPT_SOFT = 10;
    static final int INTERRUPT_SHADOW = 11;
    static final int NMI_INJECTED = 12;
    static final int NMI_PENDING = 13;
    static final int NMI_MASKED = 14;
    static final int FLAGS = 20;
    static final int SIZE = 64;

    private Events() {}
  }

  /// `struct kvm_debugregs`.
  static final class DebugRegisters {
    static final int DR0 = 0;
    static final int DR6 = 32;
    static final int DR7 = 40;
    static final int SIZE = 128;

    private DebugRegisters() {}
  }

  /// `struct kvm_xcrs` with its first `struct kvm_xcr`.
  static final class ExtendedControl {
    static final int COUNT = 0;
    static final int FIRST_REGISTER = 8;
    static final int FIRST_VALUE = 16;
    static final int REGISTER_SIZE = 16;
    static final int SIZE = 392;

    private ExtendedControl() {}
  }

  /// `struct kvm_msrs`, followed by entries.
  static final class Msrs {
    static final int COUNT = 0;
    static final int SIZE = 8;
    static final int ENTRY_SIZE = 16;

    /// In `struct kvm_msr_entry`.
    static final int ENTRY_INDEX = 0;

    static final int ENTRY_DATA = 8;

    private Msrs() {}
  }

  /// `struct kvm_cpuid2`, followed by entries.
  static final class Cpuid {
    static final int COUNT = 0;
    static final int SIZE = 8;
    static final int ENTRY_SIZE = 40;

    // In struct kvm_cpuid_entry2.
    static final int ENTRY_FUNCTION = 0;
    static final int ENTRY_INDEX = 4;
    static final int ENTRY_FLAGS = 8;
    static final int ENTRY_EAX = 12;
    static final int ENTRY_EBX = 16;
    static final int ENTRY_ECX = 20;
    static final int ENTRY_EDX = 24;

    private Cpuid() {}
  }

  /// `struct kvm_userspace_memory_region`.
  static final class MemoryRegion {
    static final int SLOT = 0;
    static final int FLAGS = 4;
    static final int GUEST_ADDRESS = 8;
    static final int BYTES = 16;
    static final int HOST_ADDRESS = 24;
    static final int SIZE = 32;

    private MemoryRegion() {}
  }

  /// `struct kvm_dirty_log`.
  static final class DirtyLog {
    static final int SLOT = 0;
    static final int BITMAP = 8;
    static final int SIZE = 16;

    private DirtyLog() {}
  }

  /// `struct kvm_enable_cap`.
  static final class EnableCapability {
    static final int CAPABILITY = 0;
    static final int ARGUMENT = 8;
    static final int SIZE = 104;

    private EnableCapability() {}
  }

  /// `struct kvm_msi`.
  static final class Msi {
    static final int ADDRESS = 0;
    static final int ADDRESS_HIGH = 4;
    static final int DATA = 8;
    static final int SIZE = 32;

    private Msi() {}
  }

  /// `struct kvm_ioeventfd`.
  static final class EventWrite {
    static final int VALUE = 0;
    static final int ADDRESS = 8;
    static final int LENGTH = 16;
    static final int DESCRIPTOR = 20;
    static final int FLAGS = 24;
    static final int SIZE = 64;

    private EventWrite() {}
  }

  /// `struct kvm_dirty_gfn`, an entry of a ring.
  static final class DirtyPage {
    static final int FLAGS = 0;
    static final int SLOT = 4;
    static final int OFFSET = 8;
    static final int SIZE = 16;

    private DirtyPage() {}
  }

  /// `struct kvm_irq_routing`, followed by entries.
  static final class Routing {
    static final int COUNT = 0;
    static final int SIZE = 8;
    static final int ENTRY_SIZE = 48;

    // In struct kvm_irq_routing_entry.
    static final int ENTRY_GSI = 0;
    static final int ENTRY_TYPE = 4;
    static final int ENTRY_MSI_ADDRESS = 16;
    static final int ENTRY_MSI_DATA = 24;

    private Routing() {}
  }

  /// `struct kvm_msr_filter` with its first `struct kvm_msr_filter_range`.
  static final class MsrFilter {
    static final int FLAGS = 0;
    static final int RANGE_FLAGS = 8;
    static final int RANGE_COUNT = 12;
    static final int RANGE_FIRST = 16;
    static final int RANGE_BITMAP = 24;
    static final int SIZE = 392;

    private MsrFilter() {}
  }

  /// `struct kvm_signal_mask`, followed by the kernel's signal set.
  static final class SignalMask {
    static final int LENGTH = 0;
    static final int SIZE = 4;

    private SignalMask() {}
  }

  /// `struct kvm_clock_data`.
  static final class Clock {
    static final int FLAGS = 8;
    static final int HOST_TSC = 24;
    static final int SIZE = 48;

    private Clock() {}
  }

  /// `struct kvm_device_attr`.
  static final class Attribute {
    static final int GROUP = 4;
    static final int NUMBER = 8;
    static final int ADDRESS = 16;
    static final int SIZE = 24;

    private Attribute() {}
  }
}
