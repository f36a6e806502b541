package dev.partita.engine.software;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A small partition for tests of the processor: flat memory, descriptor tables, page tables and a
/// handler for every vector that halts, so that a test sees which vector it was and what its stack
/// holds.
///
/// Physical and linear memory below 2 MiB are the same; 4 KiB pages, all present, writable and
/// supervisor's but those at {@link #USER_CODE} and {@link #USER_DATA}.
///
/// The guest halts to end a run. Ports and MSRs that a test does not set up are not answered.
final class Guest implements AutoCloseable {
  static final long CODE = 0x1000;
  static final long USER_CODE = 0x4000;
  static final long USER_DATA = 0x5000;
  static final long DATA = 0x6000;
  static final long GDT = 0x8000;
  static final long IDT = 0x9000;
  static final long TSS = 0xA000;

  /// End of the kernel's stack.
  static final long STACK = 0x3_0000;

  /// The stack of level 0 in the TSS.
  static final long STACK0 = 0x3_4000;

  /// The stacks of level 1 in the TSS.
  static final long STACK1 = 0x3_6000;

  /// The first interrupt stack of the TSS; the next ones are 0x1000 apart.
  static final long INTERRUPT_STACK1 = 0x3_8000;

  /// End of the user's stack.
  static final long USER_STACK = 0x6000;

  /// Where handlers are, 16 bytes each.
  static final long HANDLERS = 0x2_0000;

  static final long PML4 = 0x1_0000;
  static final long PDPT = 0x1_1000;
  static final long PD = 0x1_2000;
  static final long PT = 0x1_3000;

  // Selectors.
  static final int CODE64 = 0x08;
  static final int DATA0 = 0x10;
  static final int USER_CODE32 = 0x1B;
  static final int USER_DATA3 = 0x23;
  static final int USER_CODE64 = 0x2B;
  static final int TASK = 0x30;
  static final int CODE32 = 0x40;
  static final int CODE16 = 0x48;
  static final int NOT_PRESENT = 0x50;
  static final int CONFORMING64 = 0x58;
  static final int READ_ONLY = 0x60;
  static final int LOCAL_TABLE = 0x68;
  static final int CALL_GATE = 0x7B;
  static final int CONFORMING32 = 0x88;
  static final int CODE32_LEVEL1 = 0x91;
  static final int DATA_LEVEL1 = 0x99;
  static final int SMALL_DATA = 0xA0;
  static final int DATA16 = 0xA8;
  static final int EXECUTE_ONLY = 0xB0;
  static final int GDT_ENTRIES = 24;

  final GuestMemory memory = new GuestMemory(4 << 20);
  final ManualTimeSource time = new ManualTimeSource(0);
  final ScriptedApics apics = new ScriptedApics();
  final SoftwarePartition partition;

  /// What the guest wrote to ports: port, size, value.
  final List<String> portWrites = new ArrayList<>();

  final Map<Integer, Integer> ports = new HashMap<>();
  final Map<Integer, Long> msrs = new HashMap<>();
  final List<String> accesses = new ArrayList<>();

  /// Vectors for {@link Intercept.ExternalInterrupt}.
  int externalVector = -1;

  /// Called for each port write, before it is noted.
  @Nullable PortHook portHook;

  volatile Intercept.@Nullable Shutdown shutdown;

  /// Acts on a port write.
  interface PortHook {
    void wrote(VirtualProcessor processor, int port, int value);
  }

  Guest() {
    this(1);
  }

  Guest(int processors) {
    partition =
        new SoftwarePartition(
            new PartitionConfiguration(
                processors, memory, SupportedCpuid.TABLE, 2_000_000_000L, time, p -> apics));
    layOut();
  }

  private void layOut() {
    for (int v = 0; v < 256; v++) {
      // hlt; jmp to itself
      memory.write(HANDLERS + 16 * v, new byte[] {(byte) 0xF4, (byte) 0xEB, (byte) 0xFD});
    }
    memory.writeLong(PML4, PDPT | 7);
    memory.writeLong(PDPT, PD | 7);
    memory.writeLong(PD, PT | 7);
    for (int i = 0; i < 512; i++) {
      memory.writeLong(PT + 8 * i, i * 4096L | 3);
    }
    setPage(USER_CODE, 7);
    setPage(USER_DATA, 7);
    long[] gdt = new long[GDT_ENTRIES];
    gdt[CODE64 >> 3] = 0x00AF_9B00_0000_FFFFL;
    gdt[DATA0 >> 3] = 0x00CF_9300_0000_FFFFL;
    gdt[USER_CODE32 >> 3] = 0x00CF_FB00_0000_FFFFL;
    gdt[USER_DATA3 >> 3] = 0x00CF_F300_0000_FFFFL;
    gdt[USER_CODE64 >> 3] = 0x00AF_FB00_0000_FFFFL;
    gdt[TASK >> 3] = 0x0000_8900_0000_0FFFL | TSS << 16;
    gdt[CODE32 >> 3] = 0x00CF_9B00_0000_FFFFL;
    gdt[CODE16 >> 3] = 0x0000_9B00_0000_FFFFL;
    gdt[NOT_PRESENT >> 3] = 0x00CF_1300_0000_FFFFL;
    gdt[CONFORMING64 >> 3] = 0x00AF_9F00_0000_FFFFL;
    gdt[READ_ONLY >> 3] = 0x00CF_9100_0000_FFFFL;
    gdt[LOCAL_TABLE >> 3] = 0x0000_8200_0000_001FL | DATA << 16;
    gdt[CONFORMING32 >> 3] = 0x00CF_9F00_0000_FFFFL;
    gdt[CODE32_LEVEL1 >> 3] = 0x00CF_BB00_0000_FFFFL;
    gdt[DATA_LEVEL1 >> 3] = 0x00CF_B300_0000_FFFFL;
    gdt[SMALL_DATA >> 3] = 0x0040_9200_6000_00FFL;
    gdt[DATA16 >> 3] = 0x0000_9300_0000_FFFFL;
    gdt[EXECUTE_ONLY >> 3] = 0x00CF_9900_0000_FFFFL;
    for (int i = 0; i < gdt.length; i++) {
      memory.writeLong(GDT + 8 * i, gdt[i]);
    }
  }

  void setPage(long address, long flags) {
    memory.writeLong(PT + (address >> 12) * 8, address & ~0xFFFL | flags);
  }

  void setDescriptor(int selector, long raw) {
    memory.writeLong(GDT + (selector & ~7), raw);
  }

  Cpu cpu() {
    return partition.softwareProcessors().getFirst().cpu();
  }

  SoftwareProcessor processor() {
    return partition.softwareProcessors().getFirst();
  }

  ScriptedApics.Apic apic() {
    return apics.apics.getFirst();
  }

  /// Puts code at an address.
  ///
  /// @param hex bytes; blanks are skipped
  Guest code(long address, String hex) {
    memory.write(address, HexFormat.of().parseHex(hex.replaceAll("\\s", "")));
    return this;
  }

  // ---- Modes
  // ----------------------------------------------------------------------------------------

  /// 64-bit mode at level 0, about to run at {@link #CODE}.
  Guest longMode() {
    for (int v = 0; v < 256; v++) {
      setLongGate(v, 0x8E, 0, CODE64, HANDLERS + 16 * v);
    }
    memory.writeLong(GDT + TASK + 8, 0);
    memory.writeLong(TSS + 4, STACK0);
    memory.writeLong(TSS + 12, STACK1);
    for (int i = 0; i < 7; i++) {
      memory.writeLong(TSS + 36 + 8 * i, INTERRUPT_STACK1 + 0x1000 * i);
    }
    memory.writeShort(TSS + 102, (short) 0x68);
    var c = cpu();
    c.cr0 = Cpu.CR0_PE | Cpu.CR0_MP | Cpu.CR0_ET | Cpu.CR0_NE | Cpu.CR0_WP | Cpu.CR0_PG;
    c.cr3 = PML4;
    c.cr4 = Cpu.CR4_PAE | Cpu.CR4_PGE | Cpu.CR4_OSFXSR | Cpu.CR4_OSXMMEXCPT;
    c.efer = Cpu.EFER_LME | Cpu.EFER_LMA | Cpu.EFER_NXE | Cpu.EFER_SCE;
    c.cpl = 0;
    for (int s = 0; s < 6; s++) {
      Segments.setFlat(c, s, DATA0, 0xC093);
    }
    Segments.setFlat(c, Cpu.CS, CODE64, 0xA09B);
    tables(c, 0x8B);
    return start(CODE);
  }

  /// 32-bit protected mode at level 0, without paging.
  Guest protectedMode() {
    for (int v = 0; v < 256; v++) {
      setGate(v, 0x8E, CODE32, HANDLERS + 16 * v);
    }
    memory.writeInt(TSS + 4, (int) STACK0);
    memory.writeInt(TSS + 8, DATA0);
    memory.writeInt(TSS + 12, (int) STACK1);
    memory.writeInt(TSS + 16, DATA_LEVEL1);
    memory.writeShort(TSS + 102, (short) 0x88);
    var c = cpu();
    c.cr0 = Cpu.CR0_PE | Cpu.CR0_MP | Cpu.CR0_ET | Cpu.CR0_NE | Cpu.CR0_WP;
    c.cr4 = Cpu.CR4_OSFXSR | Cpu.CR4_OSXMMEXCPT;
    c.cpl = 0;
    for (int s = 0; s < 6; s++) {
      Segments.setFlat(c, s, DATA0, 0xC093);
    }
    Segments.setFlat(c, Cpu.CS, CODE32, 0xC09B);
    tables(c, 0x8B);
    return start(CODE);
  }

  /// Real mode with all segments 0 and the vector table at 0, as after a jump to 0:CODE.
  Guest realMode() {
    for (int v = 0; v < 256; v++) {
      memory.writeInt(4 * v, (int) (HANDLERS >> 4) << 16 | 16 * v);
    }
    var c = cpu();
    for (int s = 0; s < 6; s++) {
      Segments.loadReal(c, s, 0);
    }
    start(CODE);
    c.r[Cpu.RSP] = 0x7000;
    return this;
  }

  private void tables(Cpu c, int taskAttributes) {
    c.gdtrBase = GDT;
    c.gdtrLimit = GDT_ENTRIES * 8 - 1;
    c.idtrBase = IDT;
    c.idtrLimit = 0xFFF;
    c.trSelector = TASK;
    c.trBase = TSS;
    c.trLimit = 0xFFF;
    c.trAttributes = taskAttributes;
    c.ldtrAttributes = Descriptor.UNUSABLE;
  }

  private Guest start(long rip) {
    var c = cpu();
    c.rip = rip;
    c.r[Cpu.RSP] = STACK;
    c.halted = false;
    c.setFlags(2);
    c.modeChanged();
    c.mmu.flush();
    return this;
  }

  /// Puts the processor at level 3 in 64-bit mode, about to run at {@link #USER_CODE}.
  Guest user() {
    var c = cpu();
    c.cpl = 3;
    Segments.setFlat(
        c, Cpu.CS, c.longMode() ? USER_CODE64 : USER_CODE32, c.longMode() ? 0xA0FB : 0xC0FB);
    Segments.setFlat(c, Cpu.SS, USER_DATA3, 0xC0F3);
    Segments.setFlat(c, Cpu.DS, USER_DATA3, 0xC0F3);
    Segments.setFlat(c, Cpu.ES, USER_DATA3, 0xC0F3);
    start(USER_CODE);
    c.r[Cpu.RSP] = USER_STACK;
    return this;
  }

  /// @param attributes type, DPL and present
  /// @param stack index in the interrupt stack table
  void setLongGate(int vector, int attributes, int stack, int selector, long target) {
    long low =
        target & 0xFFFF
            | (long) selector << 16
            | (long) stack << 32
            | (long) attributes << 40
            | (target & 0xFFFF_0000L) << 32;
    memory.writeLong(IDT + 16L * vector, low);
    memory.writeLong(IDT + 16L * vector + 8, target >>> 32);
  }

  void setGate(int vector, int attributes, int selector, long target) {
    memory.writeLong(
        IDT + 8L * vector,
        target & 0xFFFF
            | (long) selector << 16
            | (long) attributes << 40
            | (target & 0xFFFF_0000L) << 32);
  }

  // ---- Runs
  // -----------------------------------------------------------------------------------------

  /// Runs until the guest halts or cannot go on.
  RunExit run() {
    var p = processor();
    p.setBudget(1_000_000);
    return p.run(this::handle);
  }

  void handle(VirtualProcessor processor, Intercept intercept) {
    switch (intercept) {
      case Intercept.Halt h -> {
        if (h.interruptsMasked) {
          processor.cancel();
        }
      }
      case Intercept.PortRead r -> r.value = ports.getOrDefault(r.port, -1);
      case Intercept.PortWrite w -> {
        var hook = portHook;
        if (hook != null) {
          hook.wrote(processor, w.port, w.value);
        }
        portWrites.add("%x/%d=%x".formatted(w.port, w.size, w.value));
      }
      case Intercept.MsrRead r -> {
        var value = msrs.get(r.index);
        if (value != null) {
          r.answer(value);
        }
      }
      case Intercept.MsrWrite w -> {
        if (msrs.containsKey(w.index)) {
          msrs.put(w.index, w.value);
          w.accept();
        }
      }
      case Intercept.MmioRead r -> {
        accesses.add("read %x/%d".formatted(r.address, r.size));
        r.value = 0x1122_3344_5566_7788L;
      }
      case Intercept.MmioWrite w ->
          accesses.add("write %x/%d=%x".formatted(w.address, w.size, w.value));
      case Intercept.ExternalInterrupt e -> e.vector = externalVector;
      case Intercept.EndOfInterrupt e -> accesses.add("eoi " + e.vector);
      case Intercept.Shutdown s -> shutdown = s;
    }
  }

  /// The vector whose handler halted, or -1 if the guest halted elsewhere.
  int vector() {
    long offset = cpu().rip + cpu().segmentBase[Cpu.CS] - HANDLERS - 1;
    return offset >= 0 && offset < 256 * 16 && offset % 16 == 0 ? (int) (offset / 16) : -1;
  }

  /// Runs and gives the vector whose handler halted.
  int runToVector() {
    run();
    if (shutdown != null) {
      throw new AssertionError("the guest ended: " + shutdown);
    }
    int vector = vector();
    if (vector < 0) {
      throw new AssertionError(
          "the guest stopped at CS:RIP %x:%x, RAX %x, RSP %x, CR2 %x"
              .formatted(
                  cpu().segmentSelector[Cpu.CS],
                  cpu().rip,
                  register(Cpu.RAX),
                  register(Cpu.RSP),
                  cpu().cr2));
    }
    return vector;
  }

  /// Runs until the guest cannot go on.
  Intercept.Shutdown runToShutdown() {
    var exit = run();
    var s = shutdown;
    if (exit != RunExit.SHUTDOWN || s == null) {
      throw new AssertionError("the guest did not end");
    }
    return s;
  }

  /// A 64-bit word of the stack.
  long frame(int index) {
    return memory.readLong(cpu().r[Cpu.RSP] + 8L * index);
  }

  /// A 32-bit word of the stack.
  long frame32(int index) {
    return memory.readInt(cpu().r[Cpu.RSP] + 4L * index) & 0xFFFF_FFFFL;
  }

  long register(int index) {
    return cpu().r[index];
  }

  @Override
  public void close() {
    partition.close();
    memory.close();
  }
}
