package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Instructions of the general registers that fault: which exception, and that nothing has changed.
class IntegerFaultTest {
  private static final long TABLE = 0x8000;
  private static final long DIRECTORY = 0x3000;
  private static final long NOT_CANONICAL = 0x8000_0000_0000L;

  private final RandomGenerator random = new Random(70);
  private EngineProcessor engine;
  private Cpu cpu;

  /// The test's memory is a read-only page and a missing one, or one that can be written and a
  /// missing one.
  private void map(boolean writable) {
    var memory = cpu.owner.partition().memory();
    memory.writeLong(DIRECTORY + (MachineState.CODE >> 21) * 8, TABLE | 7);
    memory.writeLong(TABLE, 0x20_0000L | 7);
    memory.writeLong(
        TABLE + (MachineState.MEMORY - MachineState.CODE) / 512, 0x30_0000L | (writable ? 7 : 5));
    cpu.mmu.flush();
  }

  @BeforeEach
  void makeEngine() {
    engine = new EngineProcessor();
    cpu = engine.cpu();
  }

  /// Forms with a memory operand that is written: prefix, opcode, extension or -1, immediate bytes.
  private static List<String[]> updates() {
    var forms = new ArrayList<String[]>();
    for (int operation = 0; operation < 7; operation++) {
      for (String lock : new String[] {"", "F0"}) {
        forms.add(new String[] {lock, "%02X".formatted(8 * operation + 1), "-1", "0"});
        forms.add(new String[] {lock, "83", "" + operation, "1"});
      }
    }
    for (int operation = 0; operation < 8; operation++) {
      forms.add(new String[] {"", "C1", "" + operation, "1"});
      forms.add(new String[] {"", "D3", "" + operation, "0"});
    }
    for (String lock : new String[] {"", "F0"}) {
      forms.add(new String[] {lock, "FF", "0", "0"});
      forms.add(new String[] {lock, "FF", "1", "0"});
      forms.add(new String[] {lock, "F7", "2", "0"});
      forms.add(new String[] {lock, "F7", "3", "0"});
      forms.add(new String[] {lock, "0FC1", "-1", "0"});
      forms.add(new String[] {lock, "0FB1", "-1", "0"});
      forms.add(new String[] {lock, "0FC7", "1", "0"});
      forms.add(new String[] {lock, "0FBA", "5", "1"});
      forms.add(new String[] {lock, "0FBA", "7", "1"});
    }
    forms.add(new String[] {"", "87", "-1", "0"});
    forms.add(new String[] {"", "89", "-1", "0"});
    forms.add(new String[] {"", "C7", "0", "4"});
    forms.add(new String[] {"", "0FA4", "-1", "1"});
    forms.add(new String[] {"", "0FAD", "-1", "0"});
    forms.add(new String[] {"", "0FC3", "-1", "0"});
    forms.add(new String[] {"", "0F38F1", "-1", "0"});
    forms.add(new String[] {"", "8F", "0", "0"});
    return forms;
  }

  /// Forms with a memory operand that is only read.
  private static List<String[]> loads() {
    var forms = new ArrayList<String[]>();
    for (int operation = 0; operation < 8; operation++) {
      forms.add(new String[] {"", "%02X".formatted(8 * operation + 3), "-1", "0"});
    }
    for (String opcode :
        new String[] {
          "85", "8B", "63", "0FAF", "0F44", "0FBC", "0FBD", "0F38F0", "0FB7", "0FBF", "0FB8"
        }) {
      forms.add(new String[] {opcode.equals("0FB8") ? "F3" : "", opcode, "-1", "0"});
    }
    for (int extension = 4; extension < 8; extension++) {
      forms.add(new String[] {"", "F7", "" + extension, "0"});
    }
    forms.add(new String[] {"", "FF", "2", "0"});
    forms.add(new String[] {"", "FF", "4", "0"});
    forms.add(new String[] {"", "FF", "6", "0"});
    forms.add(new String[] {"66", "0F38F6", "-1", "0"});
    forms.add(new String[] {"F2", "0F38F1", "-1", "0"});
    return forms;
  }

  private void faultsUnchanged(String[] form, long address, int error) {
    for (int n = 0; n < 10; n++) {
      for (boolean wide : new boolean[] {false, true}) {
        var state = MachineState.random(random);
        int extension = Integer.parseInt(form[2]);
        int reg = extension;
        while (reg < 0 || reg == Cpu.RSP) {
          reg = extension >= 0 ? extension : random.nextInt(16);
          if (extension >= 0) {
            break;
          }
        }
        var forms = new InstructionForms(random);
        var tail = new byte[Integer.parseInt(form[3])];
        // CMPXCHG16B wants an aligned address and cannot cross.
        boolean sixteen = form[1].equals("0FC7") && wide;
        long at = sixteen ? address & -16 : address;
        var code = forms.memoryAt(state, at, form[0], form[1], wide, reg, tail);
        if (sixteen && at + 16 <= MachineState.MEMORY + 0x1000 && error == 6) {
          continue;
        }
        unchanged(code, state, GuestFault.PAGE_FAULT);
        assertThat(cpu.fault.errorCode).as(Differential.bytes(code)).isEqualTo(error);
      }
    }
  }

  private void unchanged(byte[] code, MachineState state, int vector) {
    assertThat(engine.executeToFault(code, state))
        .as("%s\n%s", Differential.bytes(code), state)
        .isEqualTo(vector);
    var after = engine.state();
    assertThat(after.general).as(Differential.bytes(code)).isEqualTo(state.general);
    assertThat(after.flags & Cpu.ARITHMETIC)
        .as(Differential.bytes(code))
        .isEqualTo(state.flags & Cpu.ARITHMETIC);
    assertThat(after.memory).as(Differential.bytes(code)).isEqualTo(state.memory);
  }

  @Test
  void writesToReadOnlyPages() {
    map(false);
    for (var form : updates()) {
      if (!form[1].equals("8F")) {
        // User, write, protection.
        faultsUnchanged(form, MachineState.MEMORY + 0x100, 7);
      }
    }
  }

  @Test
  void accessesToMissingPages() {
    map(true);
    for (var form : updates()) {
      faultsUnchanged(form, MachineState.MEMORY + 0x1800, 6);
    }
    for (var form : loads()) {
      faultsUnchanged(form, MachineState.MEMORY + 0x1800, 4);
    }
  }

  @Test
  void accessesThatReachIntoMissingPages() {
    map(true);
    for (var form : updates()) {
      faultsUnchanged(form, MachineState.MEMORY + 0xFFF, 6);
    }
    for (var form : loads()) {
      if (!form[1].equals("0FB7") && !form[1].equals("0FBF")) {
        faultsUnchanged(form, MachineState.MEMORY + 0xFFF, 4);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"50", "6A05", "9C", "E800000000", "FFD0", "FF7424F8", "C8100000", "C8000002"})
  void pushesToReadOnlyStack(String code) {
    map(false);
    var state = MachineState.random(random);
    state.general[Cpu.RAX] = MachineState.CODE;
    unchanged(InstructionForms.parse(code), state, GuestFault.PAGE_FAULT);
  }

  @ParameterizedTest
  @ValueSource(strings = {"58", "9D", "C3", "C20800", "C9", "8F00"})
  void popsFromMissingStack(String code) {
    map(true);
    var state = MachineState.random(random);
    state.general[Cpu.RAX] = MachineState.MEMORY;
    state.general[Cpu.RSP] = MachineState.MEMORY + 0x1100;
    state.general[Cpu.RBP] = MachineState.MEMORY + 0x1100;
    unchanged(InstructionForms.parse(code), state, GuestFault.PAGE_FAULT);
  }

  @Test
  void addressesThatAreNotCanonical() {
    map(true);
    var state = MachineState.random(random);
    state.general[Cpu.RAX] = NOT_CANONICAL;
    state.setMemory((int) (state.general[Cpu.RSP] - MachineState.MEMORY), NOT_CANONICAL);
    // JMP RAX, CALL RAX, RET, MOV RAX, [RAX]
    for (String code : new String[] {"FFE0", "FFD0", "C3", "488B00"}) {
      unchanged(InstructionForms.parse(code), state, GuestFault.GENERAL_PROTECTION);
      assertThat(cpu.fault.errorCode).isZero();
    }
    state.general[Cpu.RSP] = NOT_CANONICAL;
    state.general[Cpu.RBP] = NOT_CANONICAL;
    // Across the hole: PUSH RAX would go to 7FFF_FFFF_FFF8, POP reads beyond.
    for (String code : new String[] {"58", "C3", "C9", "9D"}) {
      unchanged(InstructionForms.parse(code), state, GuestFault.STACK_FAULT);
      assertThat(cpu.fault.errorCode).isZero();
    }
    state.general[Cpu.RSP] = NOT_CANONICAL + 0x1000;
    for (String code : new String[] {"50", "E800000000", "6A00", "9C"}) {
      unchanged(InstructionForms.parse(code), state, GuestFault.STACK_FAULT);
    }
  }

  @Test
  void sixteenByteExchangeWantsAlignment() {
    map(true);
    var state = MachineState.random(random);
    state.general[Cpu.RSI] = MachineState.MEMORY + 8;
    unchanged(InstructionForms.parse("480FC70E"), state, GuestFault.GENERAL_PROTECTION);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0F0B", // UD2
        "0FB9C0", // UD1
        "0FFFC0", // UD0
        "8DC0", // LEA of a register
        "8FC8", // POP with /1
        "C6C801", // C6 /1
        "C7F800000000", // XBEGIN is not offered
        "FED0", // FE /2
        "FFF8", // FF /7
        "0FBAC001", // group 8 /0
        "0FB8C0", // JMPE
        "0FC3C0", // MOVNTI to a register
        "0F38F0C0", // MOVBE of registers
        "0FC7C8", // CMPXCHG8B of a register
        "C4E278F2C2", // valid ANDN, for comparison with the next: see validForms
        "C4E27CF2C2", // ANDN with VEX.L
        "C4E27BF2C2", // ANDN with VEX.pp
        "C4E278F3C2", // group 17 /0
        "C4E373F0C205", // RORX with VEX.vvvv
        "06",
        "0E",
        "16",
        "1E",
        "27",
        "2F",
        "37",
        "3F",
        "60",
        "61",
        "62C0",
        "82C000",
        "9A",
        "CE",
        "D400",
        "D500",
        "D6",
        "EA", // not in 64-bit mode
        "F001C0", // LOCK with a register
        "F08B00", // LOCK MOV
        "F03900", // LOCK CMP
        "F00FA300", // LOCK BT
        "F00FBA2000", // LOCK BT
        "F090",
        "F0C3",
        "F0E800000000"
      })
  void invalidForms(String code) {
    if (code.equals("C4E278F2C2")) {
      assertThat(engine.executeToFault(InstructionForms.parse(code), new MachineState()))
          .isEqualTo(-1);
      return;
    }
    // The rest of a longer form, should it be read.
    var bytes = Arrays.copyOf(InstructionForms.parse(code), 12);
    unchanged(bytes, MachineState.random(random), GuestFault.INVALID_OPCODE);
  }

  @Test
  void randomNumbers() {
    cpu.entropy = new Random(5);
    var expected = new Random(5);
    var state = MachineState.random(random);
    // RDRAND RBX; RDSEED ECX; RDRAND DX
    engine.executeToFault(InstructionForms.parse("480FC7F30FC7F9660FC7F2"), state);
    assertThat(cpu.r[Cpu.RBX]).isEqualTo(expected.nextLong());
    assertThat(cpu.r[Cpu.RCX]).isEqualTo(expected.nextLong() & 0xFFFF_FFFFL);
    assertThat(cpu.r[Cpu.RDX])
        .isEqualTo(state.general[Cpu.RDX] & ~0xFFFFL | expected.nextLong() & 0xFFFF);
    assertThat(cpu.arithmeticFlags()).isEqualTo(Cpu.CF);
  }

  @Test
  void hostsRandomNumbersDiffer() {
    engine.executeToFault(InstructionForms.parse("480FC7F3480FC7F9"), new MachineState());
    assertThat(cpu.r[Cpu.RBX]).isNotEqualTo(cpu.r[Cpu.RCX]);
  }

  /// POPFQ (and with prefix 66 POPF) of all ones, by privilege: which of IF, IOPL, and flags that
  /// never change, come out.
  @ParameterizedTest
  @CsvSource({
    // level, IOPL, IF and IOPL after
    "0,0,true,3",
    "0,3,true,3",
    "3,0,false,0",
    "3,2,false,2",
    "3,3,true,3",
    "1,1,true,1"
  })
  void popOfFlagsByPrivilege(int level, int iopl, boolean interruptFlag, int ioplAfter) {
    var state = new MachineState();
    state.setMemory((int) (MachineState.STACK - MachineState.MEMORY), -1 & ~Cpu.TF);
    for (String code : new String[] {"9D", "669D"}) {
      engine.prepare(InstructionForms.parse(code), state);
      cpu.cpl = level;
      cpu.setFlags(2 | iopl << 12 | Cpu.RF);
      cpu.modeChanged();
      execute();
      long flags = cpu.flags();
      assertThat((flags & Cpu.IF) != 0).isEqualTo(interruptFlag);
      assertThat(flags >> 12 & 3).isEqualTo(ioplAfter);
      boolean wide = code.equals("9D");
      assertThat(flags & (Cpu.AC | Cpu.ID)).isEqualTo(wide ? Cpu.AC | Cpu.ID : 0);
      assertThat(flags & (Cpu.VM | Cpu.VIF | Cpu.VIP)).isZero();
      assertThat(flags & (Cpu.ARITHMETIC | Cpu.DF | Cpu.NT))
          .isEqualTo(Cpu.ARITHMETIC | Cpu.DF | Cpu.NT);
    }
  }

  private void execute() {
    var partition = cpu.owner.partition();
    var decoder =
        new Decoder(cpu, cpu.mmu, partition.memory().segment().address(), partition.code());
    long linear = cpu.rip + (cpu.is64() ? 0 : cpu.segmentBase[Cpu.CS]);
    var block = decoder.decode(linear, cpu.mmu.fetchOffset(linear), true);
    cpu.r[Cpu.RIP_BASE] = cpu.rip;
    block.operations[0].execute(cpu);
  }

  /// PUSHF and POPF in virtual-8086 mode.
  @ParameterizedTest
  @CsvSource({
    // IOPL, VME, 32-bit operand, allowed
    "3,false,false,true",
    "3,false,true,true",
    "0,false,false,false",
    "0,true,false,true",
    "2,true,true,false"
  })
  void flagsInVirtual8086Mode(int iopl, boolean extensions, boolean wide, boolean allowed) {
    var state = new MachineState();
    for (String opcode : new String[] {"9C", "9D"}) {
      engine.prepare(InstructionForms.parse((wide ? "66" : "") + opcode), state);
      cpu.efer = 0;
      cpu.cr0 = Cpu.CR0_PE | Cpu.CR0_ET;
      cpu.cr4 = extensions ? Cpu.CR4_VME : 0;
      cpu.cr3 = 0;
      cpu.cpl = 3;
      for (int segment = 0; segment < 6; segment++) {
        cpu.segmentBase[segment] = MachineState.CODE;
        cpu.segmentLimit[segment] = 0xFFFF;
        cpu.segmentAttributes[segment] = 0xF3;
      }
      cpu.setFlags(2 | Cpu.VM | iopl << 12 | Cpu.VIF);
      cpu.modeChanged();
      cpu.mmu.flush();
      cpu.rip = 0;
      cpu.r[Cpu.RSP] = 0x8000;
      long before = cpu.flags();
      int vector = -1;
      // What POPF finds: IF set, IOPL 1.
      cpu.owner.partition().memory().writeInt(MachineState.CODE + 0x8000, 0x1202);
      try {
        execute();
      } catch (GuestFault fault) {
        vector = fault.vector;
      }
      assertThat(vector).isEqualTo(allowed ? -1 : GuestFault.GENERAL_PROTECTION);
      if (!allowed) {
        assertThat(cpu.flags()).isEqualTo(before);
        assertThat(cpu.r[Cpu.RSP]).isEqualTo(0x8000);
      } else if (opcode.equals("9C")) {
        int image =
            cpu.owner.partition().memory().readInt(MachineState.CODE + cpu.r[Cpu.RSP]) & 0xFFFF;
        // With the extensions VIF stands in IF's place, and IOPL reads 3.
        assertThat(image).isEqualTo(iopl == 3 ? 0x3002 : 0x3202);
      } else {
        assertThat(cpu.flags() >> 12 & 3).isEqualTo(iopl);
        assertThat((cpu.flags() & Cpu.IF) != 0).isEqualTo(iopl == 3);
        assertThat(cpu.flags() & Cpu.VM).isNotZero();
        assertThat(cpu.flags() & Cpu.VIF).isNotZero();
      }
    }
  }
}
