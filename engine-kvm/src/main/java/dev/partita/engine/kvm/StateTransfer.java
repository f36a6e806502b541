package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.partita.engine.kvm.Structures.DebugRegisters;
import dev.partita.engine.kvm.Structures.Events;
import dev.partita.engine.kvm.Structures.ExtendedControl;
import dev.partita.engine.kvm.Structures.Msrs;
import dev.partita.engine.kvm.Structures.Registers;
import dev.partita.engine.kvm.Structures.Segment;
import dev.partita.engine.kvm.Structures.SystemRegisters;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Activity;
import dev.partita.hypervisor.ProcessorState.Msr;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/// Between a processor of KVM and its engine-neutral saved state. Only while it does not run.
final class StateTransfer {
  // KVM_MP_STATE_*.
  private static final int MP_RUNNABLE = 0;
  private static final int MP_UNINITIALIZED = 1;
  private static final int MP_INIT_RECEIVED = 2;
  private static final int MP_HALTED = 3;

  // KVM_VCPUEVENT_VALID_*.
  private static final int VALID_NMI_PENDING = 1;
  private static final int VALID_SHADOW = 1 << 2;

  /// KVM_X86_SHADOW_INT_STI.
  private static final int SHADOW_STI = 2;

  private static final int MSR_TSC = 0x10;
  private static final int MSR_TSC_DEADLINE = 0x6E0;

  // The XSAVE area, standard format: Intel SDM volume 1, 13.4.
  private static final int MXCSR = 24;
  private static final int XSTATE_BV = 512;

  private static final long CR0_PG = 1L << 31;
  private static final long EFER_LME = 1 << 8;
  private static final long EFER_LMA = 1 << 10;

  private final KvmDescriptor processor;
  private final KvmPartition partition;
  private final LocalApicTransfer localApic;

  StateTransfer(KvmDescriptor processor, KvmPartition partition, int index) {
    this.processor = processor;
    this.partition = partition;
    localApic = new LocalApicTransfer(processor, partition.levelRoutes(), index);
  }

  /// Whether system registers have a 64-bit code segment.
  static boolean isLongCode(MemorySegment systemRegisters) {
    return systemRegisters.get(JAVA_BYTE, SystemRegisters.CS + Segment.L) != 0;
  }

  /// The privilege level of the stack segment, which is the processor's.
  static int stackPrivilege(MemorySegment systemRegisters) {
    return systemRegisters.get(JAVA_BYTE, SystemRegisters.SS + Segment.DPL);
  }

  // ---- Save
  // -----------------------------------------------------------------------------------------

  /// @param nmiRequested whether an NMI was asked for that KVM does not know of yet
  ProcessorState save(boolean nmiRequested) {
    try (var arena = Arena.ofConfined()) {
      var mpState = get(Ioctl.KVM_GET_MP_STATE, arena, 4).get(JAVA_INT, 0);
      var registers = get(Ioctl.KVM_GET_REGS, arena, Registers.SIZE);
      var system = get(Ioctl.KVM_GET_SREGS, arena, SystemRegisters.SIZE);
      var debug = get(Ioctl.KVM_GET_DEBUGREGS, arena, DebugRegisters.SIZE);
      var events = get(Ioctl.KVM_GET_VCPU_EVENTS, arena, Events.SIZE);
      var xsave = get(Ioctl.KVM_GET_XSAVE, arena, Structures.XSAVE_SIZE);
      var general = new long[16];
      for (int i = 0; i < 16; i++) {
        general[i] = registers.get(JAVA_LONG, Registers.general(i));
      }
      long xcr0 = xcr0(arena);
      return new ProcessorState(
          general,
          registers.get(JAVA_LONG, Registers.RIP),
          registers.get(JAVA_LONG, Registers.RFLAGS),
          segment(system, SystemRegisters.ES),
          segment(system, SystemRegisters.CS),
          segment(system, SystemRegisters.SS),
          segment(system, SystemRegisters.DS),
          segment(system, SystemRegisters.FS),
          segment(system, SystemRegisters.GS),
          segment(system, SystemRegisters.LDT),
          segment(system, SystemRegisters.TR),
          table(system, SystemRegisters.GDT),
          table(system, SystemRegisters.IDT),
          system.get(JAVA_LONG, SystemRegisters.CR0),
          system.get(JAVA_LONG, SystemRegisters.CR2),
          system.get(JAVA_LONG, SystemRegisters.CR3),
          system.get(JAVA_LONG, SystemRegisters.CR4),
          system.get(JAVA_LONG, SystemRegisters.EFER),
          xcr0,
          debugRegisters(debug),
          Arrays.copyOf(xsave.toArray(JAVA_BYTE), xsaveSize(xcr0)),
          saveMsrs(arena),
          readMsr(arena, MSR_TSC),
          events(events, mpState, nmiRequested),
          localApic.save(
              arena,
              system.get(JAVA_LONG, SystemRegisters.APIC_BASE),
              readMsr(arena, MSR_TSC_DEADLINE)));
    }
  }

  private MemorySegment get(Ioctl ioctl, Arena arena, long size) {
    var segment = arena.allocate(size, 8);
    processor.call(ioctl, segment);
    return segment;
  }

  private static ProcessorState.Segment segment(MemorySegment system, int at) {
    int attributes =
        system.get(JAVA_BYTE, at + Segment.TYPE) & 0xF
            | bit(system, at + Segment.S) << 4
            | (system.get(JAVA_BYTE, at + Segment.DPL) & 3) << 5
            | bit(system, at + Segment.PRESENT) << 7
            | bit(system, at + Segment.AVL) << 12
            | bit(system, at + Segment.L) << 13
            | bit(system, at + Segment.DB) << 14
            | bit(system, at + Segment.G) << 15;
    if (bit(system, at + Segment.UNUSABLE) != 0) {
      attributes |= ProcessorState.Segment.UNUSABLE;
    }
    return new ProcessorState.Segment(
        system.get(JAVA_SHORT, at + Segment.SELECTOR) & 0xFFFF,
        system.get(JAVA_LONG, at + Segment.BASE),
        system.get(JAVA_INT, at + Segment.LIMIT),
        attributes);
  }

  private static int bit(MemorySegment segment, int at) {
    return segment.get(JAVA_BYTE, at) != 0 ? 1 : 0;
  }

  private static ProcessorState.Table table(MemorySegment system, int at) {
    return new ProcessorState.Table(
        system.get(JAVA_LONG, at),
        system.get(JAVA_SHORT, at + SystemRegisters.TABLE_LIMIT) & 0xFFFF);
  }

  private static long[] debugRegisters(MemorySegment debug) {
    var values = new long[6];
    for (int i = 0; i < 4; i++) {
      values[i] = debug.get(JAVA_LONG, DebugRegisters.DR0 + 8L * i);
    }
    values[4] = debug.get(JAVA_LONG, DebugRegisters.DR6);
    values[5] = debug.get(JAVA_LONG, DebugRegisters.DR7);
    return values;
  }

  private static ProcessorState.Events events(
      MemorySegment events, int mpState, boolean nmiRequested) {
    boolean exception =
        bit(events, Events.EXCEPTION_INJECTED) != 0 || bit(events, Events.EXCEPTION_PENDING) != 0;
    boolean errorCode = exception && bit(events, Events.EXCEPTION_HAS_ERROR_CODE) != 0;
    return new ProcessorState.Events(
        switch (mpState) {
          case MP_UNINITIALIZED, MP_INIT_RECEIVED -> Activity.WAIT_FOR_SIPI;
          case MP_HALTED -> Activity.HALTED;
          default -> Activity.RUNNING;
        },
        exception ? events.get(JAVA_BYTE, Events.EXCEPTION_VECTOR) & 0xFF : -1,
        errorCode ? events.get(JAVA_INT, Events.EXCEPTION_ERROR_CODE) : -1,
        bit(events, Events.INTERRUPT_INJECTED) != 0
            ? events.get(JAVA_BYTE, Events.INTERRUPT_VECTOR) & 0xFF
            : -1,
        nmiRequested
            || bit(events, Events.NMI_PENDING) != 0
            || bit(events, Events.NMI_INJECTED) != 0,
        bit(events, Events.NMI_MASKED) != 0,
        bit(events, Events.INTERRUPT_SHADOW) != 0);
  }

  private long xcr0(Arena arena) {
    var xcrs = get(Ioctl.KVM_GET_XCRS, arena, ExtendedControl.SIZE);
    int count = xcrs.get(JAVA_INT, ExtendedControl.COUNT);
    for (int i = 0; i < count; i++) {
      long at = (long) i * ExtendedControl.REGISTER_SIZE;
      if (xcrs.get(JAVA_INT, ExtendedControl.FIRST_REGISTER + at) == 0) {
        return xcrs.get(JAVA_LONG, ExtendedControl.FIRST_VALUE + at);
      }
    }
    // A processor without XSAVE: x87 is always there.
    return 1;
  }

  /// Bytes of the XSAVE area that the enabled components take, at least those of the contract.
  private int xsaveSize(long xcr0) {
    int size = ProcessorState.XSAVE_SIZE;
    for (int component = 2; component < 63; component++) {
      if ((xcr0 & 1L << component) != 0) {
        // Leaf 0xD, sub-leaf of the component: EAX its size, EBX its offset.
        var leaf = partition.facts().cpuid().find(0xD, component);
        if (leaf != null) {
          size = Math.max(size, leaf.ebx() + leaf.eax());
        }
      }
    }
    return Math.min(size, Structures.XSAVE_SIZE);
  }

  private List<Msr> saveMsrs(Arena arena) {
    var numbers = partition.facts().msrs();
    var buffer = msrs(arena, numbers.size());
    for (int i = 0; i < numbers.size(); i++) {
      buffer.set(JAVA_INT, entry(i) + Msrs.ENTRY_INDEX, numbers.get(i));
    }
    // The facts have only what this KVM reads.
    int done = processor.call(Ioctl.KVM_GET_MSRS, buffer);
    if (done != numbers.size()) {
      throw new KvmException(
          "KVM_GET_MSRS", 0, "cannot read register 0x%x".formatted(numbers.get(done)));
    }
    var list = new ArrayList<Msr>();
    for (int i = 0; i < numbers.size(); i++) {
      list.add(new Msr(numbers.get(i), buffer.get(JAVA_LONG, entry(i) + Msrs.ENTRY_DATA)));
    }
    return list;
  }

  private static MemorySegment msrs(Arena arena, int count) {
    var buffer = arena.allocate(entry(count), 8);
    buffer.set(JAVA_INT, Msrs.COUNT, count);
    return buffer;
  }

  private static long entry(int number) {
    return Msrs.SIZE + (long) number * Msrs.ENTRY_SIZE;
  }

  /// @return 0 for a register that this KVM does not have
  private long readMsr(Arena arena, int index) {
    var buffer = msrs(arena, 1);
    buffer.set(JAVA_INT, entry(0) + Msrs.ENTRY_INDEX, index);
    return processor.call(Ioctl.KVM_GET_MSRS, buffer) == 1
        ? buffer.get(JAVA_LONG, entry(0) + Msrs.ENTRY_DATA)
        : 0;
  }

  // ---- Load
  // -----------------------------------------------------------------------------------------

  /// Does not change the processor if the state is impossible in itself; KVM may still refuse parts
  /// of it.
  ///
  /// @throws IllegalArgumentException if the state is impossible, or not possible on this host
  void load(ProcessorState state) {
    check(state);
    try (var arena = Arena.ofConfined()) {
      // Before the registers: entering a mode may change them.
      loadSystemRegisters(arena, state);
      loadRegisters(arena, state);
      loadVectors(arena, state);
      if (state.localApic() != null) {
        localApic.load(arena, state.localApic());
      }
      loadMsrs(arena, state);
      loadDebugRegisters(arena, state);
      loadActivity(arena, state);
      // Last: what comes before may drop what is pending.
      loadEvents(arena, state);
    }
  }

  private static void check(ProcessorState state) {
    boolean paging = (state.cr0() & CR0_PG) != 0;
    boolean longMode = (state.efer() & EFER_LMA) != 0;
    require(
        longMode == (paging && (state.efer() & EFER_LME) != 0),
        "EFER.LMA does not follow from EFER.LME and CR0.PG");
    require((state.xcr0() & 1) != 0, "XCR0 without x87");
    require(
        state.xsave().length <= Structures.XSAVE_SIZE,
        "an XSAVE area of " + state.xsave().length + " bytes");
    require(
        (MemorySegment.ofArray(state.xsave())
                    .get(java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED, MXCSR)
                & 0xFFFF_0000)
            == 0,
        "MXCSR has reserved bits set");
  }

  private static void require(boolean possible, String otherwise) {
    if (!possible) {
      throw new IllegalArgumentException("impossible processor state: " + otherwise);
    }
  }

  private void set(Ioctl ioctl, MemorySegment value, String what) {
    int result = processor.tryCall(ioctl, value);
    if (result == -Posix.EINVAL) {
      throw new IllegalArgumentException(
          "impossible processor state: this host's KVM refuses the " + what + " (" + ioctl + ")");
    }
    if (result < 0) {
      throw KvmException.of(ioctl, -result);
    }
  }

  private void loadSystemRegisters(Arena arena, ProcessorState state) {
    // CR8 and the APIC's base stay if the state has no local APIC.
    var system = get(Ioctl.KVM_GET_SREGS, arena, SystemRegisters.SIZE);
    put(system, SystemRegisters.ES, state.es());
    put(system, SystemRegisters.CS, state.cs());
    put(system, SystemRegisters.SS, state.ss());
    put(system, SystemRegisters.DS, state.ds());
    put(system, SystemRegisters.FS, state.fs());
    put(system, SystemRegisters.GS, state.gs());
    put(system, SystemRegisters.LDT, state.ldtr());
    put(system, SystemRegisters.TR, state.tr());
    put(system, SystemRegisters.GDT, state.gdtr());
    put(system, SystemRegisters.IDT, state.idtr());
    system.set(JAVA_LONG, SystemRegisters.CR0, state.cr0());
    system.set(JAVA_LONG, SystemRegisters.CR2, state.cr2());
    system.set(JAVA_LONG, SystemRegisters.CR3, state.cr3());
    system.set(JAVA_LONG, SystemRegisters.CR4, state.cr4());
    system.set(JAVA_LONG, SystemRegisters.EFER, state.efer());
    if (state.localApic() != null) {
      system.set(JAVA_LONG, SystemRegisters.APIC_BASE, state.localApic().apicBase());
    }
    // Pending interrupts come with the events.
    system.asSlice(SystemRegisters.INTERRUPT_BITMAP, 32).fill((byte) 0);
    set(Ioctl.KVM_SET_SREGS, system, "system registers");
  }

  private static void put(MemorySegment system, int at, ProcessorState.Segment from) {
    int attributes = from.attributes();
    system.set(JAVA_LONG, at + Segment.BASE, from.base());
    system.set(JAVA_INT, at + Segment.LIMIT, from.limit());
    system.set(JAVA_SHORT, at + Segment.SELECTOR, (short) from.selector());
    system.set(JAVA_BYTE, at + Segment.TYPE, (byte) (attributes & 0xF));
    system.set(JAVA_BYTE, at + Segment.S, (byte) (attributes >> 4 & 1));
    system.set(JAVA_BYTE, at + Segment.DPL, (byte) (attributes >> 5 & 3));
    system.set(JAVA_BYTE, at + Segment.PRESENT, (byte) (attributes >> 7 & 1));
    system.set(JAVA_BYTE, at + Segment.AVL, (byte) (attributes >> 12 & 1));
    system.set(JAVA_BYTE, at + Segment.L, (byte) (attributes >> 13 & 1));
    system.set(JAVA_BYTE, at + Segment.DB, (byte) (attributes >> 14 & 1));
    system.set(JAVA_BYTE, at + Segment.G, (byte) (attributes >> 15 & 1));
    boolean unusable = (attributes & ProcessorState.Segment.UNUSABLE) != 0;
    system.set(JAVA_BYTE, at + Segment.UNUSABLE, (byte) (unusable ? 1 : 0));
  }

  private static void put(MemorySegment system, int at, ProcessorState.Table from) {
    system.set(JAVA_LONG, at, from.base());
    system.set(JAVA_SHORT, at + SystemRegisters.TABLE_LIMIT, (short) from.limit());
  }

  private void loadRegisters(Arena arena, ProcessorState state) {
    var registers = arena.allocate(Registers.SIZE, 8);
    for (int i = 0; i < 16; i++) {
      registers.set(JAVA_LONG, Registers.general(i), state.general()[i]);
    }
    registers.set(JAVA_LONG, Registers.RIP, state.rip());
    registers.set(JAVA_LONG, Registers.RFLAGS, state.rflags());
    set(Ioctl.KVM_SET_REGS, registers, "general registers");
  }

  private void loadVectors(Arena arena, ProcessorState state) {
    var area = arena.allocate(Structures.XSAVE_SIZE, 8);
    MemorySegment.copy(state.xsave(), 0, area, JAVA_BYTE, 0, state.xsave().length);
    long components = area.get(JAVA_LONG, XSTATE_BV);
    var supported = partition.facts().cpuid().find(0xD, 0);
    if (supported != null) {
      long offered = supported.eax() & 0xFFFF_FFFFL | (long) supported.edx() << 32;
      require((components & ~(offered | 3)) == 0, "vector state that this host does not have");
    }
    set(Ioctl.KVM_SET_XSAVE, area, "floating-point and vector registers");
    var control = arena.allocate(ExtendedControl.SIZE, 8);
    control.set(JAVA_INT, ExtendedControl.COUNT, 1);
    control.set(JAVA_LONG, ExtendedControl.FIRST_VALUE, state.xcr0());
    set(Ioctl.KVM_SET_XCRS, control, "XCR0");
  }

  private void loadMsrs(Arena arena, ProcessorState state) {
    var known = Set.copyOf(partition.facts().msrs());
    var one = msrs(arena, 1);
    for (var msr : state.msrs()) {
      // Others belong to the partition's owner, or to a processor unlike this one.
      if (known.contains(msr.index())) {
        loadMsr(one, msr.index(), msr.value());
      }
    }
    // As the guest's own write would be, this is one for all processors if they are set together:
    // KVM takes values that fit for the same counter ("kvm_synchronize_tsc").
    loadMsr(one, MSR_TSC, state.tsc());
    if (state.localApic() != null && state.localApic().tscDeadline() != 0) {
      loadMsr(one, MSR_TSC_DEADLINE, state.localApic().tscDeadline());
    }
  }

  private void loadMsr(MemorySegment one, int index, long value) {
    one.set(JAVA_INT, entry(0) + Msrs.ENTRY_INDEX, index);
    one.set(JAVA_LONG, entry(0) + Msrs.ENTRY_DATA, value);
    if (processor.call(Ioctl.KVM_SET_MSRS, one) != 1) {
      throw new IllegalArgumentException("MSR 0x%x cannot hold 0x%x".formatted(index, value));
    }
  }

  private void loadDebugRegisters(Arena arena, ProcessorState state) {
    var debug = arena.allocate(DebugRegisters.SIZE, 8);
    for (int i = 0; i < 4; i++) {
      debug.set(JAVA_LONG, DebugRegisters.DR0 + 8L * i, state.debug()[i]);
    }
    debug.set(JAVA_LONG, DebugRegisters.DR6, state.debug()[4]);
    debug.set(JAVA_LONG, DebugRegisters.DR7, state.debug()[5]);
    set(Ioctl.KVM_SET_DEBUGREGS, debug, "debug registers");
  }

  private void loadActivity(Arena arena, ProcessorState state) {
    int mpState =
        switch (state.events().activity()) {
          // A processor in shutdown does not run on: its owner does not run it.
          case RUNNING, SHUTDOWN -> MP_RUNNABLE;
          case HALTED -> MP_HALTED;
          // KVM takes a start-up IPI only after an INIT; the state is that after one.
          case WAIT_FOR_SIPI -> MP_INIT_RECEIVED;
        };
    set(Ioctl.KVM_SET_MP_STATE, arena.allocateFrom(JAVA_INT, mpState), "activity");
  }

  private void loadEvents(Arena arena, ProcessorState state) {
    var from = state.events();
    var events = arena.allocate(Events.SIZE, 8);
    if (from.pendingException() >= 0) {
      events.set(JAVA_BYTE, Events.EXCEPTION_INJECTED, (byte) 1);
      events.set(JAVA_BYTE, Events.EXCEPTION_VECTOR, (byte) from.pendingException());
      if (from.pendingErrorCode() >= 0) {
        events.set(JAVA_BYTE, Events.EXCEPTION_HAS_ERROR_CODE, (byte) 1);
        events.set(JAVA_INT, Events.EXCEPTION_ERROR_CODE, from.pendingErrorCode());
      }
    }
    if (from.pendingInterrupt() >= 0) {
      events.set(JAVA_BYTE, Events.INTERRUPT_INJECTED, (byte) 1);
      events.set(JAVA_BYTE, Events.INTERRUPT_VECTOR, (byte) from.pendingInterrupt());
    }
    events.set(
        JAVA_BYTE, Events.INTERRUPT_SHADOW, (byte) (from.interruptShadow() ? SHADOW_STI : 0));
    events.set(JAVA_BYTE, Events.NMI_PENDING, (byte) (from.nmiPending() ? 1 : 0));
    events.set(JAVA_BYTE, Events.NMI_MASKED, (byte) (from.nmiMasked() ? 1 : 0));
    events.set(JAVA_INT, Events.FLAGS, VALID_NMI_PENDING | VALID_SHADOW);
    set(Ioctl.KVM_SET_VCPU_EVENTS, events, "pending events");
  }
}
