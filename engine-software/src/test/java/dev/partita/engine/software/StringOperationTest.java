package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.GuestMemory;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Repeated MOVS and STOS over many pages, some of them missing, read-only, or the same RAM twice,
/// against a model that moves one element after the other as the Intel SDM has it. And where
/// registers stand at a fault.
class StringOperationTest {
  private static final long TABLE = 0x8000;
  private static final long DIRECTORY = 0x3000;

  // Pages from MEMORY on, and the RAM behind them.
  private static final int PAGES = 6;
  private static final long RAM = 0x10_0000;

  private final RandomGenerator random = new Random(60);
  private EngineProcessor engine;
  private Cpu cpu;
  private GuestMemory memory;

  /// For each page: the page of RAM, -1 if it is missing; and whether it may be written.
  private final int[] frame = new int[PAGES];

  private final boolean[] writable = new boolean[PAGES];

  @BeforeEach
  void smallPages() {
    engine = new EngineProcessor();
    cpu = engine.cpu();
    memory = cpu.owner.partition().memory();
    memory.writeLong(DIRECTORY + (MachineState.CODE >> 21) * 8, TABLE | 7);
    memory.writeLong(TABLE, 0x20_0000L | 7);
  }

  private void map() {
    for (int page = 0; page < PAGES; page++) {
      int kind = random.nextInt(10);
      frame[page] = kind == 0 ? -1 : kind < 3 ? random.nextInt(PAGES) : page;
      writable[page] = random.nextInt(12) != 0;
      long entry = frame[page] < 0 ? 0 : RAM + frame[page] * 4096L | (writable[page] ? 7 : 5);
      memory.writeLong(TABLE + (MachineState.MEMORY - MachineState.CODE) / 512 + page * 8L, entry);
    }
    cpu.mmu.flush();
  }

  /// The model: what the guest's RAM and registers become.
  private final class Model {
    final byte[] ram = new byte[PAGES * 4096];
    long source;
    long destination;
    long count;
    long faultAddress = -1;
    boolean faultWrites;

    private int at(long address, boolean write) {
      long offset = address - MachineState.MEMORY;
      int page = (int) Math.floorDiv(offset, 4096L);
      if (page < 0 || page >= PAGES || frame[page] < 0 || (write && !writable[page])) {
        faultAddress = address;
        faultWrites = write;
        return -1;
      }
      return frame[page] * 4096 + (int) offset % 4096;
    }

    void run(boolean load, long value, int size, int step) {
      while (count != 0) {
        long element = value;
        if (load) {
          element = 0;
          for (int i = 0; i < size; i++) {
            int from = at(source + i, false);
            if (from < 0) {
              return;
            }
            element |= (ram[from] & 0xFFL) << 8 * i;
          }
        }
        var to = new int[size];
        for (int i = 0; i < size; i++) {
          to[i] = at(destination + i, true);
          if (to[i] < 0) {
            return;
          }
        }
        for (int i = 0; i < size; i++) {
          ram[to[i]] = (byte) (element >>> 8 * i);
        }
        source += load ? step : 0;
        destination += step;
        count--;
      }
    }
  }

  @Test
  void asOneElementAfterTheOther() {
    int faults = 0;
    for (int n = 0; n < 3000; n++) {
      map();
      boolean load = random.nextInt(3) != 0;
      int size = 1 << random.nextInt(4);
      boolean down = random.nextInt(4) == 0;
      var model = new Model();
      new Random(n).nextBytes(model.ram);
      memory.write(RAM, model.ram);
      var state = new MachineState();
      long from = MachineState.MEMORY + random.nextInt(PAGES * 4096);
      long to =
          random.nextBoolean()
              ? from + random.nextInt(-64, 64)
              : MachineState.MEMORY + random.nextInt(PAGES * 4096);
      state.general[Cpu.RSI] = model.source = from;
      state.general[Cpu.RDI] = model.destination = to;
      state.general[Cpu.RCX] = model.count = random.nextInt(3 * 4096 / size);
      state.general[Cpu.RAX] = random.nextInt(3) == 0 ? 0x2A2A2A2A2A2A2A2AL : random.nextLong();
      state.flags = down ? 2 | Cpu.DF : 2;
      String opcode = (load ? "A" + (size == 1 ? 4 : 5) : "A" + (size == 1 ? "A" : "B"));
      String prefix = size == 2 ? "66F3" : size == 8 ? "F348" : "F3";
      int vector = engine.executeToFault(InstructionForms.parse(prefix + opcode), state);
      model.run(load, state.general[Cpu.RAX], size, down ? -size : size);
      String what =
          "%d: %s%s from %x to %x count %d"
              .formatted(n, prefix, opcode, from, to, state.general[Cpu.RCX]);
      assertThat(vector).as(what).isEqualTo(model.faultAddress < 0 ? -1 : GuestFault.PAGE_FAULT);
      if (vector >= 0) {
        faults++;
        assertThat(cpu.fault.errorCode & 2).as(what).isEqualTo(model.faultWrites ? 2 : 0);
      }
      assertThat(cpu.r[Cpu.RSI]).as(what).isEqualTo(model.source);
      assertThat(cpu.r[Cpu.RDI]).as(what).isEqualTo(model.destination);
      assertThat(cpu.r[Cpu.RCX]).as(what).isEqualTo(model.count);
      assertThat(memory.read(RAM, model.ram.length)).as(what).isEqualTo(model.ram);
    }
    assertThat(faults).isBetween(300, 2700);
  }

  @Test
  void stopsOncePerPage() {
    for (int page = 0; page < PAGES; page++) {
      frame[page] = page;
      memory.writeLong(
          TABLE + (MachineState.MEMORY - MachineState.CODE) / 512 + page * 8L,
          RAM + page * 4096L | 7);
    }
    cpu.mmu.flush();
    var state = new MachineState();
    state.general[Cpu.RDI] = MachineState.MEMORY;
    state.general[Cpu.RCX] = 4 * 4096;
    engine.prepare(InstructionForms.parse("F3AA"), state);
    var processor = engine.processor();
    // Each turn counts as an instruction: after one, at most a page is done.
    processor.setBudget(1);
    processor.run((p, intercept) -> {});
    assertThat(cpu.r[Cpu.RCX]).isBetween(3 * 4096L, 4 * 4096L - 1);
    assertThat(cpu.rip).isEqualTo(MachineState.CODE);
  }
}
