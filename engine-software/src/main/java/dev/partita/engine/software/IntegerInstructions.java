package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Finds the operation of every instruction that works on general registers: integer arithmetic,
/// data movement, near control flow, the stack, strings. The layout is that of the Intel SDM volume
/// 2, appendix A ("Opcode Map").
final class IntegerInstructions {
  private IntegerInstructions() {}

  /// The operation of an instruction, or null if it is not one of these.
  static @Nullable Operation create(Instruction i) {
    if (i.vex) {
      return BitManipulation.vex(i);
    }
    return switch (i.map) {
      case Instruction.MAP_ONE_BYTE -> oneByte(i);
      case Instruction.MAP_0F -> map0F(i);
      case Instruction.MAP_0F38 ->
          switch (i.opcode) {
            case 0xF0, 0xF1 ->
                i.repeatPrefix == 0xF2
                    ? BitInstructions.crc32(i)
                    : i.repeatPrefix == 0 ? DataInstructions.moveBigEndian(i) : null;
            case 0xF6 -> BitManipulation.addExtended(i);
            default -> null;
          };
      default -> null;
    };
  }

  private static @Nullable Operation oneByte(Instruction i) {
    int op = i.opcode;
    boolean is64 = i.is64();
    if (op < 0x40 && (op & 7) < 6) {
      return ArithmeticInstructions.twoOperands(i);
    }
    return switch (op >> 4) {
      case 4 -> is64 ? null : ArithmeticInstructions.incrementDecrementShort(i);
      case 5 -> op < 0x58 ? StackInstructions.pushRegister(i) : StackInstructions.popRegister(i);
      case 7 -> Branch.conditional(i);
      case 0xB -> Move.shortImmediate(i);
      default -> oneByteRest(i, is64);
    };
  }

  private static @Nullable Operation oneByteRest(Instruction i, boolean is64) {
    return switch (i.opcode) {
      case 0x27, 0x2F, 0x37, 0x3F, 0xD4, 0xD5 -> is64 ? null : DecimalInstructions.create(i);
      case 0x60 -> is64 ? null : StackInstructions.pushAll(i);
      case 0x61 -> is64 ? null : StackInstructions.popAll(i);
      case 0x63 -> is64 ? Move.signExtended(i) : null;
      case 0x68, 0x6A -> StackInstructions.pushImmediate(i);
      case 0x69, 0x6B -> MultiplyInstructions.threeOperands(i);
      case 0x80, 0x81, 0x83 -> ArithmeticInstructions.group1(i);
      case 0x82 -> is64 ? null : ArithmeticInstructions.group1(i);
      case 0x84, 0x85 -> ArithmeticInstructions.test(i);
      case 0x86, 0x87 -> DataInstructions.exchange(i);
      case 0x88, 0x89 -> Move.store(i);
      case 0x8A, 0x8B -> Move.load(i);
      case 0x8D -> DataInstructions.loadEffectiveAddress(i);
      case 0x8F -> StackInstructions.pop(i);
      case 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97 ->
          i.opcodeRegister() == 0
              ? HintInstructions.noOperation(i)
              : DataInstructions.exchangeAccumulator(i);
      case 0x98 -> DataInstructions.convert(i);
      case 0x99 -> DataInstructions.convertDouble(i);
      case 0x9C -> FlagInstructions.push(i);
      case 0x9D -> FlagInstructions.pop(i);
      case 0x9E -> FlagInstructions.storeAh();
      case 0x9F -> FlagInstructions.loadAh();
      case 0xA0, 0xA1, 0xA2, 0xA3 -> Move.direct(i);
      case 0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF ->
          StringInstructions.create(i);
      case 0xA8, 0xA9 -> ArithmeticInstructions.testAccumulator(i);
      case 0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3 -> ShiftInstructions.group2(i);
      case 0xC2, 0xC3 -> Branch.ret(i);
      case 0xC6, 0xC7 -> i.extension() == 0 ? Move.immediate(i) : null;
      case 0xC8 -> StackInstructions.enter(i);
      case 0xC9 -> StackInstructions.leave(i);
      case 0xD6 -> is64 ? null : FlagInstructions.setAlFromCarry();
      case 0xD7 -> DataInstructions.translate(i);
      case 0xE0, 0xE1, 0xE2, 0xE3 -> Branch.countLoop(i);
      case 0xE8 -> Branch.call(i);
      case 0xE9, 0xEB -> Branch.jump(i);
      case 0xF5, 0xF8, 0xF9 -> FlagInstructions.carry(i);
      case 0xF6, 0xF7 ->
          i.extension() < 4 ? ArithmeticInstructions.group3(i) : MultiplyInstructions.group3(i);
      case 0xFC, 0xFD -> FlagInstructions.direction(i);
      case 0xFE -> i.extension() < 2 ? ArithmeticInstructions.incrementDecrement(i) : null;
      case 0xFF ->
          switch (i.extension()) {
            case 0, 1 -> ArithmeticInstructions.incrementDecrement(i);
            case 2 -> Branch.callIndirect(i);
            case 4 -> Branch.jumpIndirect(i);
            case 6 -> StackInstructions.push(i);
            default -> null;
          };
      default -> null;
    };
  }

  private static @Nullable Operation map0F(Instruction i) {
    return switch (i.opcode >> 4) {
      case 4 -> DataInstructions.conditionalMove(i);
      case 8 -> Branch.conditional(i);
      case 9 -> DataInstructions.set(i);
      default -> map0FRest(i);
    };
  }

  private static @Nullable Operation map0FRest(Instruction i) {
    return switch (i.opcode) {
      case 0x0D, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F -> HintInstructions.hint();
      case 0xA3, 0xAB, 0xB3, 0xBB -> BitInstructions.bitByRegister(i);
      case 0xA4, 0xA5, 0xAC, 0xAD -> ShiftInstructions.doubleShift(i);
      case 0xAE -> HintInstructions.group15(i);
      case 0xAF -> MultiplyInstructions.twoOperands(i);
      case 0xB0, 0xB1 -> AtomicInstructions.compareExchange(i);
      case 0xB6, 0xB7 -> Move.zeroExtended(i);
      case 0xB8 -> BitInstructions.populationCount(i);
      case 0xBA -> BitInstructions.bitByImmediate(i);
      case 0xBC, 0xBD -> BitInstructions.scan(i);
      case 0xBE, 0xBF -> Move.signExtended(i);
      case 0xC0, 0xC1 -> AtomicInstructions.exchangeAdd(i);
      case 0xC3 -> DataInstructions.storeNonTemporal(i);
      case 0xC7 ->
          switch (i.extension()) {
            case 1 -> AtomicInstructions.compareExchangeDouble(i);
            case 6, 7 -> HintInstructions.random(i);
            default -> null;
          };
      case 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF -> DataInstructions.byteSwap(i);
      default -> null;
    };
  }
}
