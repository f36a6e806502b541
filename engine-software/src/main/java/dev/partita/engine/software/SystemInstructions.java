package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Makes the operations of the system: segments, far transfers, interrupts, control, debug and
/// model-specific registers, ports, CPUID.
final class SystemInstructions {
  private SystemInstructions() {}

  /// The operation of an instruction, or null if it is none of these.
  static @Nullable Operation create(Instruction i) {
    if (i.vex) {
      return null;
    }
    return switch (i.map) {
      case Instruction.MAP_ONE_BYTE -> oneByte(i);
      case Instruction.MAP_0F -> twoBytes(i);
      case Instruction.MAP_0F38 -> threeBytes(i);
      default -> null;
    };
  }

  private static @Nullable Operation oneByte(Instruction i) {
    return switch (i.opcode) {
      case 0x06, 0x0E, 0x16, 0x1E -> SegmentInstructions.push(i, i.opcode >> 3);
      case 0x07, 0x17, 0x1F -> SegmentInstructions.pop(i, i.opcode >> 3);
      case 0x62 -> i.is64() || !i.isMemory() ? null : new InterruptInstructions.Bound(i);
      case 0x63 -> i.is64() ? null : new DescriptorTables.AdjustLevel(i.reg, i.rm, i.memory);
      case 0x6C -> new PortInstructions.StringTransfer(true, 1, i);
      case 0x6D -> new PortInstructions.StringTransfer(true, portSize(i), i);
      case 0x6E -> new PortInstructions.StringTransfer(false, 1, i);
      case 0x6F -> new PortInstructions.StringTransfer(false, portSize(i), i);
      case 0x8C -> SegmentInstructions.moveFrom(i);
      case 0x8E -> SegmentInstructions.moveTo(i);
      case 0x9A -> FarTransfers.direct(i, true);
      case 0xC4 -> SegmentInstructions.loadFarPointer(i, Cpu.ES);
      case 0xC5 -> SegmentInstructions.loadFarPointer(i, Cpu.DS);
      case 0xCA -> FarTransfers.ret(i, (int) i.immediate);
      case 0xCB -> FarTransfers.ret(i, 0);
      case 0xCC -> new InterruptInstructions.Breakpoint();
      case 0xCD -> new InterruptInstructions.Interrupt((int) i.immediate & 0xFF);
      case 0xCE -> i.is64() ? null : new InterruptInstructions.Overflow();
      case 0xCF -> new InterruptReturn(i.operandSize / 8);
      case 0xE4 -> new PortInstructions.In((int) i.immediate & 0xFF, 1);
      case 0xE5 -> new PortInstructions.In((int) i.immediate & 0xFF, portSize(i));
      case 0xE6 -> new PortInstructions.Out((int) i.immediate & 0xFF, 1);
      case 0xE7 -> new PortInstructions.Out((int) i.immediate & 0xFF, portSize(i));
      case 0xEA -> FarTransfers.direct(i, false);
      case 0xEC -> new PortInstructions.In(-1, 1);
      case 0xED -> new PortInstructions.In(-1, portSize(i));
      case 0xEE -> new PortInstructions.Out(-1, 1);
      case 0xEF -> new PortInstructions.Out(-1, portSize(i));
      case 0xF1 -> new InterruptInstructions.DebugInterrupt();
      case 0xF4 -> new InterruptInstructions.Halt();
      case 0xFA -> new InterruptInstructions.ClearInterruptFlag();
      case 0xFB -> new InterruptInstructions.SetInterruptFlag();
      case 0xFF ->
          switch (i.extension()) {
            case 3 -> FarTransfers.indirect(i, true);
            case 5 -> FarTransfers.indirect(i, false);
            default -> null;
          };
      default -> null;
    };
  }

  /// There are no 64-bit ports: REX.W leaves 32 bits.
  private static int portSize(Instruction i) {
    return i.operandSize == 16 ? 2 : 4;
  }

  private static @Nullable Operation twoBytes(Instruction i) {
    return switch (i.opcode) {
      case 0x00 -> DescriptorTables.group6(i);
      case 0x01 -> i.isMemory() ? group7Memory(i) : group7Register(i);
      case 0x02, 0x03 ->
          new DescriptorTables.LoadAccess(i.opcode == 3, i.reg, i.rm, i.memory, i.operandSize);
      case 0x05 -> new FastSystemCalls.SystemCall();
      case 0x06 -> new ControlRegisters.ClearTaskSwitched();
      case 0x07 -> new FastSystemCalls.SystemReturn(i.rexW());
      case 0x08 -> new SystemOperations.InvalidateCaches();
      case 0x09 -> new SystemOperations.InvalidateCaches();
      case 0x20 -> ControlRegisters.moveFrom(i);
      case 0x21 -> i.reg > 7 ? null : new DebugRegisters.MoveFrom(i.reg, i.rm, i.is64());
      case 0x22 -> ControlRegisters.moveTo(i);
      case 0x23 -> i.reg > 7 ? null : new DebugRegisters.MoveTo(i.reg, i.rm, i.is64());
      case 0x30 -> new SystemOperations.WriteMsr();
      case 0x31 -> new SystemOperations.ReadTimeStampCounter(false);
      case 0x32 -> new SystemOperations.ReadMsr();
      case 0x33 -> new SystemOperations.ReadPerformanceCounter();
      case 0x34 -> new FastSystemCalls.SystemEnter();
      case 0x35 -> new FastSystemCalls.SystemExit(i.rexW());
      case 0xA0 -> SegmentInstructions.push(i, Cpu.FS);
      case 0xA1 -> SegmentInstructions.pop(i, Cpu.FS);
      case 0xA2 -> new CpuidInstruction();
      case 0xA8 -> SegmentInstructions.push(i, Cpu.GS);
      case 0xA9 -> SegmentInstructions.pop(i, Cpu.GS);
      case 0xAE -> baseMove(i);
      case 0xB2 -> SegmentInstructions.loadFarPointer(i, Cpu.SS);
      case 0xB4 -> SegmentInstructions.loadFarPointer(i, Cpu.FS);
      case 0xB5 -> SegmentInstructions.loadFarPointer(i, Cpu.GS);
      default -> null;
    };
  }

  private static @Nullable Operation group7Memory(Instruction i) {
    return switch (i.extension()) {
      case 0, 1 -> new DescriptorTables.StoreTable(i.extension() == 1, i.operand(), i.is64());
      case 2, 3 ->
          new DescriptorTables.LoadTable(i.extension() == 3, i.operand(), i.is64(), i.operandSize);
      case 4 -> new ControlRegisters.StoreMachineStatusWord(0, i.operand(), 16);
      case 6 -> new ControlRegisters.LoadMachineStatusWord(0, i.operand());
      case 7 -> new SystemOperations.InvalidatePage(i.operand());
      default -> null;
    };
  }

  private static @Nullable Operation group7Register(Instruction i) {
    int rm = i.rm & 7;
    boolean plain = i.repeatPrefix == 0 && !i.operandPrefix;
    return switch (i.extension()) {
      case 1 ->
          switch (rm) {
            case 2 -> plain ? new SystemOperations.SetAccessCheck(false) : null;
            case 3 -> plain ? new SystemOperations.SetAccessCheck(true) : null;
            default -> null;
          };
      case 2 ->
          switch (rm) {
            case 0 -> plain ? new ControlRegisters.GetExtended() : null;
            case 1 -> plain ? new ControlRegisters.SetExtended() : null;
            default -> null;
          };
      case 4 -> new ControlRegisters.StoreMachineStatusWord(i.rm, null, i.operandSize);
      case 6 -> new ControlRegisters.LoadMachineStatusWord(i.rm, null);
      case 7 ->
          switch (rm) {
            case 0 -> i.is64() ? new FastSystemCalls.SwapGs() : null;
            case 1 -> new SystemOperations.ReadTimeStampCounter(true);
            default -> null;
          };
      default -> null;
    };
  }

  /// RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE.
  private static @Nullable Operation baseMove(Instruction i) {
    if (i.isMemory() || i.repeatPrefix != 0xF3 || !i.is64()) {
      return null;
    }
    return switch (i.extension()) {
      case 0 -> new FastSystemCalls.ReadBase(Cpu.FS, i.rm, i.rexW());
      case 1 -> new FastSystemCalls.ReadBase(Cpu.GS, i.rm, i.rexW());
      case 2 -> new FastSystemCalls.WriteBase(Cpu.FS, i.rm, i.rexW());
      case 3 -> new FastSystemCalls.WriteBase(Cpu.GS, i.rm, i.rexW());
      default -> null;
    };
  }

  /// INVPCID.
  private static @Nullable Operation threeBytes(Instruction i) {
    if (i.opcode == 0x82 && i.operandPrefix && i.repeatPrefix == 0 && i.isMemory()) {
      return new SystemOperations.InvalidateContext(i.reg, i.operand(), i.is64());
    }
    return null;
  }
}
