package dev.partita.chipset.apic;

/// The local APIC's register page: offsets and bits, from the Intel SDM, volume 3, chapter
/// "Advanced Programmable Interrupt Controller", table "Local APIC Register Address Map". An x2APIC
/// MSR is `0x800 + offset / 16`.
final class LocalApicLayout {
  static final int ID = 0x020;
  static final int VERSION = 0x030;
  static final int TASK_PRIORITY = 0x080;
  static final int ARBITRATION_PRIORITY = 0x090;
  static final int PROCESSOR_PRIORITY = 0x0A0;
  static final int END_OF_INTERRUPT = 0x0B0;
  static final int REMOTE_READ = 0x0C0;
  static final int LOGICAL_DESTINATION = 0x0D0;
  static final int DESTINATION_FORMAT = 0x0E0;
  static final int SPURIOUS_VECTOR = 0x0F0;

  /// First of eight registers, 32 vectors each.
  static final int IN_SERVICE = 0x100;

  /// First of eight registers, 32 vectors each.
  static final int TRIGGER_MODE = 0x180;

  /// First of eight registers, 32 vectors each.
  static final int INTERRUPT_REQUEST = 0x200;

  static final int ERROR_STATUS = 0x280;
  static final int COMMAND_LOW = 0x300;
  static final int COMMAND_HIGH = 0x310;
  static final int LVT_TIMER = 0x320;
  static final int LVT_THERMAL = 0x330;
  static final int LVT_PERFORMANCE = 0x340;
  static final int LVT_LINT0 = 0x350;
  static final int LVT_LINT1 = 0x360;
  static final int LVT_ERROR = 0x370;
  static final int INITIAL_COUNT = 0x380;
  static final int CURRENT_COUNT = 0x390;
  static final int DIVIDE_CONFIGURATION = 0x3E0;

  /// x2APIC only.
  static final int SELF_IPI = 0x3F0;

  /// First x2APIC MSR.
  static final int X2APIC_MSR = 0x800;

  /// Number of local vector table entries, in order of their offsets from {@link #LVT_TIMER}.
  static final int LVT_COUNT = 6;

  static final int TIMER = 0;
  static final int THERMAL = 1;
  static final int PERFORMANCE = 2;
  static final int LINT0 = 3;
  static final int LINT1 = 4;
  static final int ERROR = 5;

  /// An integrated APIC (0x14), highest LVT entry 5, EOI-broadcast suppression (bit 24).
  static final int VERSION_VALUE = 1 << 24 | (LVT_COUNT - 1) << 16 | 0x14;

  static final int SVR_ENABLE = 1 << 8;
  static final int SVR_FOCUS_DISABLE = 1 << 9;
  static final int SVR_SUPPRESS_EOI_BROADCAST = 1 << 12;
  static final int SVR_WRITABLE =
      0xFF | SVR_ENABLE | SVR_FOCUS_DISABLE | SVR_SUPPRESS_EOI_BROADCAST;

  static final int LVT_REMOTE_IRR = 1 << 14;
  static final int LVT_LEVEL = 1 << 15;
  static final int LVT_MASKED = 1 << 16;
  static final int LVT_DELIVERY_STATUS = 1 << 12;

  /// What software may write in each local vector table entry, in order.
  private static final int[] LVT_WRITABLE = {
    0x0007_00FF, 0x0001_07FF, 0x0001_07FF, 0x0001_A7FF, 0x0001_A7FF, 0x0001_00FF
  };

  static int lvtWritable(int entry) {
    return LVT_WRITABLE[entry];
  }

  static final int DELIVERY_FIXED = 0;
  static final int DELIVERY_LOWEST_PRIORITY = 1;
  static final int DELIVERY_SMI = 2;
  static final int DELIVERY_NMI = 4;
  static final int DELIVERY_INIT = 5;
  static final int DELIVERY_STARTUP = 6;
  static final int DELIVERY_EXTINT = 7;

  static final int ICR_LOGICAL = 1 << 11;
  static final int ICR_ASSERT = 1 << 14;
  static final int ICR_LEVEL = 1 << 15;

  /// Writable bits of the command register's low half; bit 12 (delivery status) always reads 0.
  static final int ICR_LOW_WRITABLE = 0x000C_CFFF;

  static final int ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
  static final int ESR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
  static final int ESR_ILLEGAL_REGISTER = 1 << 7;

  /// IA32_APIC_BASE: this is the boot processor.
  static final long BASE_BOOT_PROCESSOR = 1L << 8;

  /// IA32_APIC_BASE: x2APIC mode.
  static final long BASE_X2APIC = 1L << 10;

  /// IA32_APIC_BASE: globally enabled.
  static final long BASE_ENABLE = 1L << 11;

  /// IA32_APIC_BASE after reset, without the boot processor's flag.
  static final long BASE_RESET = 0xFEE0_0000L | BASE_ENABLE;

  private LocalApicLayout() {}
}
