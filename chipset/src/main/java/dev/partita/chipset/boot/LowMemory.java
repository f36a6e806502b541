package dev.partita.chipset.boot;

/// Where the boot loaders put their tables: all below the kernel, in RAM the kernel is told of, so
/// that it gets it back. The order is that of addresses.
final class LowMemory {
  /// Global descriptor table.
  static final long GDT = 0x1000;

  /// hvm_start_info, its module list and memory map.
  static final long START_INFO = 0x6000;

  /// Linux's boot parameters ("zero page").
  static final long BOOT_PARAMETERS = 0x7000;

  /// A page of stack grows down from here.
  static final long STACK_TOP = 0x9000;

  /// One PML4, one page-directory-pointer table, four page directories.
  static final long PAGE_TABLES = 0x9000;

  static final int PAGE_TABLES_SIZE = 6 * 4096;

  /// Linux's list of setup_data.
  static final long SETUP_DATA = 0x1_0000;

  /// The command line, ended by a zero.
  static final long COMMAND_LINE = 0x2_0000;

  static final int COMMAND_LINE_SIZE = 0x1_0000;

  /// __BOOT_CS and __BOOT_DS of the Linux boot protocol.
  static final int CODE_SELECTOR = 0x10;

  static final int DATA_SELECTOR = 0x18;

  private LowMemory() {}
}
