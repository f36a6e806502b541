package dev.partita.engine.software;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.PartitionConfiguration;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The twin of {@link NativeProcessor}: runs the same code from the same state on the engine's
/// decoder and operations, in 64-bit mode at privilege level 3 with paging on. Needs no instruction
/// but those under test: the mode is set in the {@link Cpu}, and the loop here ends where the code
/// ends.
///
/// Not thread-safe.
final class EngineProcessor {
  /// The guest-physical address behind {@link MachineState#CODE}: one 2 MiB page.
  private static final long PHYSICAL = 0x20_0000;

  private static final long TABLES = 0x1000;

  /// Instructions before a run is given up.
  private static final int LIMIT = 100_000;

  /// Of the regions for the optimizing compiler that are run once, these bits of a hash are 0 in
  /// those that it compiles: it takes 10 to 100 ms.
  private static final int COMPILED = 3;

  /// Where the bytes go when more than one test wants it.
  private static final EngineProcessor SHARED = new EngineProcessor();

  private final GuestMemory memory = new GuestMemory(4 << 20);
  private final SoftwarePartition partition;
  private final Cpu cpu;
  private final Decoder decoder;
  private final Map<ByteBuffer, Region> regions =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<ByteBuffer, Region> eldest) {
          return size() > 200;
        }
      };

  EngineProcessor() {
    partition =
        new SoftwarePartition(
            new PartitionConfiguration(
                1,
                memory,
                SupportedCpuid.TABLE,
                1_000_000_000L,
                new ManualTimeSource(0),
                p -> new QuietApics()));
    cpu = partition.softwareProcessors().getFirst().cpu();
    decoder = new Decoder(cpu, cpu.mmu, memory.segment().address(), partition.code());
    // Present, writable, user: PML4, page-directory-pointer table, page directory, a 2 MiB page.
    memory.writeLong(TABLES, TABLES + 0x1000 | 7);
    memory.writeLong(TABLES + 0x1000, TABLES + 0x2000 | 7);
    memory.writeLong(TABLES + 0x2000 + (MachineState.CODE >> 21) * 8, PHYSICAL | 0x87);
    cpu.cr0 =
        Cpu.CR0_PE | Cpu.CR0_MP | Cpu.CR0_ET | Cpu.CR0_NE | Cpu.CR0_WP | Cpu.CR0_AM | Cpu.CR0_PG;
    cpu.cr3 = TABLES;
    cpu.cr4 =
        Cpu.CR4_PAE | Cpu.CR4_OSFXSR | Cpu.CR4_OSXMMEXCPT | Cpu.CR4_FSGSBASE | Cpu.CR4_OSXSAVE;
    cpu.xcr0 = SupportedCpuid.XCR0;
    cpu.efer = Cpu.EFER_SCE | Cpu.EFER_LME | Cpu.EFER_LMA | Cpu.EFER_NXE;
    // As Linux has them in user mode: CS 0x33 (64-bit code), SS 0x2B, the rest null.
    for (int i = 0; i < 6; i++) {
      cpu.segmentSelector[i] = 0;
      cpu.segmentBase[i] = 0;
      cpu.segmentLimit[i] = -1;
      cpu.segmentAttributes[i] = 1 << 16;
    }
    cpu.segmentSelector[Cpu.CS] = 0x33;
    cpu.segmentAttributes[Cpu.CS] = 0xA0FB;
    cpu.segmentSelector[Cpu.SS] = 0x2B;
    cpu.segmentAttributes[Cpu.SS] = 0xC0F3;
    cpu.cpl = 3;
    cpu.modeChanged();
    cpu.mmu.flush();
  }

  Cpu cpu() {
    return cpu;
  }

  /// The processor, for runs of its own loop; see {@link #prepare}.
  SoftwareProcessor processor() {
    return partition.softwareProcessors().getFirst();
  }

  /// Runs code on a processor that all tests share, on the tier under test.
  static MachineState run(byte[] code, MachineState state) {
    synchronized (SHARED) {
      return SHARED.execute(code, state);
    }
  }

  /// Runs code on the shared processor, translated.
  static MachineState runTranslated(byte[] code, MachineState state) {
    synchronized (SHARED) {
      return SHARED.afterwards(SHARED.translateToFault(code, state));
    }
  }

  /// Runs code on the shared processor, interpreted.
  static MachineState runInterpreted(byte[] code, MachineState state) {
    synchronized (SHARED) {
      return SHARED.afterwards(SHARED.interpretToFault(code, state));
    }
  }

  /// Runs code from a state, on the tier under test.
  ///
  /// @param code at {@link MachineState#CODE}
  /// @param state is not changed
  /// @return the state after
  /// @throws AssertionError if the guest faults
  MachineState execute(byte[] code, MachineState state) {
    return afterwards(executeToFault(code, state));
  }

  private MachineState afterwards(int vector) {
    if (vector >= 0) {
      throw new AssertionError(
          "the engine raised exception %d (error code 0x%x, address 0x%x) at offset 0x%x"
              .formatted(
                  vector, cpu.fault.errorCode, cpu.fault.address, cpu.rip - MachineState.CODE));
    }
    return state();
  }

  /// Runs code from a state up to its end or the first exception, on the tier under test; {@link
  /// #state()} is the state then.
  ///
  /// @return the exception's vector, or -1
  int executeToFault(byte[] code, MachineState state) {
    return Translator.TIER == Translator.Tier.TRANSLATOR
        ? translateToFault(code, state)
        : interpretToFault(code, state);
  }

  /// Like {@link #executeToFault}, interpreted.
  ///
  /// @return the exception's vector, or -1
  int interpretToFault(byte[] code, MachineState state) {
    prepare(code, state);
    long end = MachineState.CODE + code.length;
    try {
      for (int n = 0; cpu.rip != end; n++) {
        if (n == LIMIT) {
          throw new AssertionError("the code does not end");
        }
        long offset = cpu.mmu.fetchOffset(cpu.rip);
        var block = decoder.decode(cpu.rip, offset, true);
        cpu.r[Cpu.RIP_BASE] = cpu.rip;
        for (var operation : block.operations) {
          operation.execute(cpu);
        }
      }
      return -1;
    } catch (GuestFault fault) {
      return fault.vector;
    }
  }

  /// Like {@link #executeToFault}, translated: all instructions make one region, entered at the
  /// first. What leaves the region is interpreted.
  ///
  /// @return the exception's vector, or -1
  int translateToFault(byte[] code, MachineState state) {
    prepare(code, state);
    long end = MachineState.CODE + code.length;
    var region =
        code.length == 0
            ? null
            : regions.computeIfAbsent(ByteBuffer.wrap(code.clone()), key -> translate(code));
    cpu.regionMissed = false;
    // In the tables, so that the region has no need to leave.
    for (int at = 0; at < MachineState.MEMORY_SIZE; at += 4096) {
      long address = MachineState.MEMORY + at;
      try {
        cpu.store8(address, cpu.load8(address));
      } catch (GuestFault fault) {
        // A test has taken the right to write, or the page, away: the region meets that.
        continue;
      }
    }
    try {
      for (int n = 0; cpu.rip != end; n++) {
        if (n == LIMIT) {
          throw new AssertionError("the code does not end");
        }
        if (cpu.rip == MachineState.CODE && region != null && !cpu.regionMissed) {
          if (region.run(cpu, LIMIT) < 0) {
            throw Region.thrown(cpu);
          }
        } else {
          cpu.regionMissed = false;
          var block = decoder.decode(cpu.rip, cpu.mmu.fetchOffset(cpu.rip), true);
          cpu.r[Cpu.RIP_BASE] = cpu.rip;
          for (var operation : block.operations) {
            operation.execute(cpu);
          }
        }
      }
      return -1;
    } catch (GuestFault fault) {
      return fault.vector;
    }
  }

  /// @return null if there is no instruction at the start
  private @Nullable Region translate(byte[] code) {
    var nodes = new LinkedHashMap<Long, RegionShape.Node>();
    if (node(nodes, 0, code.length) == null) {
      return null;
    }
    // Half of the programs, always the same: as for the optimizing compiler. And some of them by
    // it.
    int hash = Arrays.hashCode(code);
    boolean optimized = (hash & 1) != 0;
    var region = RegionCompiler.compile(RegionShape.of(List.copyOf(nodes.values())), optimized);
    if (optimized && (hash >>> 1 & COMPILED) == 0) {
      optimize(region);
    }
    return region;
  }

  /// Has HotSpot compile a region as the translator does.
  private void optimize(Region region) {
    long rip = cpu.rip;
    region.code.run(cpu, 0, -1);
    cpu.rip = rip;
    if (CompileRequest.AVAILABLE
        && !CompileRequest.compile(region.code, CompileRequest.OPTIMIZING)) {
      throw new AssertionError("a region that is not compiled");
    }
  }

  private RegionShape.@Nullable Node node(
      Map<Long, RegionShape.Node> nodes, long offset, int length) {
    if (offset < 0 || offset >= length) {
      return null;
    }
    var known = nodes.get(offset);
    if (known != null) {
      return known;
    }
    long linear = MachineState.CODE + offset;
    Block block;
    try {
      block = decoder.decode(linear, cpu.mmu.fetchOffset(linear), true);
    } catch (GuestFault invalid) {
      return null;
    }
    var node = new RegionShape.Node(block, offset);
    nodes.put(offset, node);
    var last = node.last();
    switch (last.follow()) {
      case NEXT, REPEAT -> node.next = node(nodes, offset + last.end, length);
      case JUMP, CALL -> node.taken = node(nodes, offset + last.target(), length);
      case CONDITIONAL -> {
        node.next = node(nodes, offset + last.end, length);
        node.taken = node(nodes, offset + last.target(), length);
      }
      default -> {}
    }
    return node;
  }

  /// Runs code that does not fault, each instruction decoded anew whenever it is run.
  MachineState interpretOnce(byte[] code, MachineState state) {
    return afterwards(interpretToFault(code, state));
  }

  /// Runs code that does not fault in the processor's own loop, and so on the tier under test. What
  /// follows the code is a jump to itself.
  MachineState runInLoop(byte[] code, MachineState state) {
    prepare(code, state);
    memory.write(PHYSICAL + code.length, new byte[] {(byte) 0xEB, (byte) 0xFE});
    long end = MachineState.CODE + code.length;
    var processor = processor();
    for (int n = 0; cpu.rip != end; n++) {
      if (n == LIMIT) {
        throw new AssertionError("the code does not end");
      }
      processor.setBudget(1_000);
      processor.run(
          (p, intercept) -> {
            if (intercept instanceof dev.partita.hypervisor.Intercept.Shutdown s) {
              throw new AssertionError(s.detail());
            }
          });
    }
    return state();
  }

  /// Puts code and state in place; RIP is at the code's start.
  void prepare(byte[] code, MachineState state) {
    memory.write(PHYSICAL, code);
    load(state);
    cpu.rip = MachineState.CODE;
  }

  private void load(MachineState state) {
    memory.write(PHYSICAL + MachineState.MEMORY - MachineState.CODE, state.memory);
    System.arraycopy(state.general, 0, cpu.r, 0, 16);
    cpu.setFlags(state.flags & (Cpu.ARITHMETIC | Cpu.DF) | Cpu.IF | 2);
    for (int i = 0; i < 16; i++) {
      cpu.xmm[4 * i] = state.xmm[2 * i];
      cpu.xmm[4 * i + 1] = state.xmm[2 * i + 1];
      cpu.xmm[4 * i + 2] = state.ymm[2 * i];
      cpu.xmm[4 * i + 3] = state.ymm[2 * i + 1];
    }
    cpu.mxcsr = state.mxcsr;
    cpu.x87.loadFxImage(state.x87);
  }

  /// The state as it is now.
  MachineState state() {
    var after = new MachineState();
    System.arraycopy(cpu.r, 0, after.general, 0, 16);
    after.flags = cpu.flags();
    for (int i = 0; i < 16; i++) {
      after.xmm[2 * i] = cpu.xmm[4 * i];
      after.xmm[2 * i + 1] = cpu.xmm[4 * i + 1];
      after.ymm[2 * i] = cpu.xmm[4 * i + 2];
      after.ymm[2 * i + 1] = cpu.xmm[4 * i + 3];
    }
    after.mxcsr = cpu.mxcsr;
    cpu.x87.storeFxImage(after.x87);
    var bytes =
        memory.read(PHYSICAL + MachineState.MEMORY - MachineState.CODE, MachineState.MEMORY_SIZE);
    System.arraycopy(bytes, 0, after.memory, 0, bytes.length);
    return after;
  }
}
