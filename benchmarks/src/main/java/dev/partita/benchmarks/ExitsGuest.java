package dev.partita.benchmarks;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Events;
import dev.partita.hypervisor.ProcessorState.Segment;
import dev.partita.hypervisor.ProcessorState.Table;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;

/// The guests of {@link ExitsBenchmark}: each does one thing all the time. The C program knows them
/// by name.
enum ExitsGuest {
  /// out 0xE0, eax; jmp
  PORT("port write", "E7E0 EBFC"),
  /// mov [0x200000], eax; jmp
  MMIO("MMIO write", "89042500002000 EBF7"),
  /// mov ecx, 0x40000070; xor eax, eax; xor edx, edx; wrmsr; jmp
  MSR("MSR write", "B970000040 31C0 31D2 0F30 EBFC"),
  /// mov ecx, 0x5C; mov edx, 0x9000; out 0xE0, eax; jmp, as the hypercall page's code does
  HYPERCALL("hypercall", "B95C000000 BA00900000 E7E0 EBFC"),
  /// mov eax, 0x2001; inc qword [0xA000]; out 0xE1, eax; jmp: no exit, but an event counter
  SIGNAL("SignalEvent by doorbell", "B801200000 48FF042500A00000 E7E1 EBF4"),
  /// mov dword [APIC + 0xF0], 0x1FF; sti; out 0xE0, eax; hlt; jmp. Each port write is answered
  /// with an interrupt, whose handler writes to the port again.
  INTERRUPT("interrupt and port write", "C70425F0004000FF010000 FB E7E0 F4 EBFD");

  static final int VECTOR = 0x40;
  static final int SIGNAL_PORT = 0xE1;
  static final int CONNECTION = 0x2001;

  /// Where {@link #SIGNAL} counts.
  static final long COUNTER = 0xA000;

  private static final long CODE = 0x8000;
  private static final long HANDLER = 0x9000;

  /// out 0xE0, eax; mov dword [APIC + 0xB0], 0; iretq
  private static final String HANDLER_CODE = "E7E0 C70425B000400000000000 48CF";

  final String title;
  private final String code;

  ExitsGuest(String title, String code) {
    this.title = title;
    this.code = code;
  }

  void layOut(GuestMemory memory) {
    memory.writeLong(0x1000, 0x2000 | 7);
    memory.writeLong(0x2000, 0x3000 | 7);
    memory.writeLong(0x3000, 0x83);
    // At 2 MiB what is no RAM, at 4 MiB the local APIC; both not cached.
    memory.writeLong(0x3008, 0xE000_0000L | 0x93);
    memory.writeLong(0x3010, 0xFEE0_0000L | 0x93);
    memory.writeLong(0x4008, 0x00AF_9B00_0000_FFFFL);
    memory.writeLong(0x4010, 0x00CF_9300_0000_FFFFL);
    memory.writeLong(0x4028, 0x0000_8B00_0000_0067L | 0x5000 << 16);
    memory.writeLong(0x6000 + 16 * VECTOR, HANDLER | 0x08 << 16 | 0x8EL << 40);
    memory.write(CODE, bytes(code));
    memory.write(HANDLER, bytes(HANDLER_CODE));
  }

  private static byte[] bytes(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  /// 64-bit mode at level 0, as the C program sets it.
  static ProcessorState initialState() {
    var general = new long[16];
    general[ProcessorState.RSP] = 0x7000;
    var data = new Segment(0x10, 0, -1, 0xC093);
    var xsave = ByteBuffer.allocate(ProcessorState.XSAVE_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    xsave.putShort(0, (short) 0x37F);
    xsave.putInt(24, 0x1F80);
    xsave.putLong(512, 3);
    return new ProcessorState(
        general,
        CODE,
        2,
        data,
        new Segment(0x08, 0, -1, 0xA09B),
        data,
        data,
        data,
        data,
        new Segment(0, 0, 0, Segment.UNUSABLE),
        new Segment(0x28, 0x5000, 0x67, 0x8B),
        new Table(0x4000, 0x37),
        new Table(0x6000, 0xFFF),
        0x8000_0033L,
        0,
        0x1000,
        0x620,
        0x501,
        1,
        new long[] {0, 0, 0, 0, 0xFFFF_0FF0L, 0x400},
        xsave.array(),
        List.of(),
        0,
        Events.NONE,
        null);
  }
}
