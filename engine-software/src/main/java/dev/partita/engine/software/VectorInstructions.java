package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// MMX and SSE instructions in their legacy encodings: finds the class that makes the operation.
///
/// An opcode here has up to four meanings by its mandatory prefix: none, 66, F3, F2, of which F3
/// and F2 go before 66 (Intel SDM volume 2, 2.1.2 and appendix A). These instructions leave the
/// upper halves of the YMM registers alone; those with a VEX prefix are {@link AvxInstructions}'.
final class VectorInstructions {
  private VectorInstructions() {}

  static @Nullable Operation create(Instruction i) {
    if (i.vex) {
      return AvxInstructions.create(i);
    }
    int prefix = i.repeatPrefix != 0 ? i.repeatPrefix : i.operandPrefix ? 0x66 : 0;
    return switch (i.map) {
      case Instruction.MAP_0F -> create0f(i, prefix);
      case Instruction.MAP_0F38 -> create38(i, prefix);
      case Instruction.MAP_0F3A -> create3a(i, prefix);
      default -> null;
    };
  }

  private static @Nullable Operation create0f(Instruction i, int prefix) {
    return switch (i.opcode) {
      case 0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2B, 0xF0 ->
          VectorMoves.create(i, prefix);
      case 0x14, 0x15, 0x50, 0xC6 -> PackedShuffle.create(i, prefix);
      case 0x54, 0x55, 0x56, 0x57 -> prefix <= 0x66 ? PackedIntegerInstructions.create(i) : null;
      case 0x2A, 0x2C, 0x2D, 0x5A, 0x5B, 0xE6 -> SimdConversions.create(i, prefix);
      case 0x2E, 0x2F, 0x51, 0x52, 0x53, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F ->
          SimdFloatInstructions.create(i, prefix);
      case 0x7C, 0x7D, 0xC2, 0xD0 -> SimdFloatInstructions.create(i, prefix);
      case 0x6E, 0x6F, 0x7E, 0x7F, 0xE7 ->
          prefix == 0 ? MmxInstructions.create(i) : VectorMoves.create(i, prefix);
      case 0x70, 0xC4, 0xC5 ->
          prefix == 0 ? MmxInstructions.create(i) : PackedShuffle.create(i, prefix);
      case 0x6C, 0x6D -> prefix == 0x66 ? PackedIntegerInstructions.create(i) : null;
      case 0x77 -> prefix == 0 ? MmxInstructions.create(i) : null;
      case 0xAE -> VectorControl.create(i, prefix);
      case 0xC3 -> prefix == 0 && i.isMemory() ? new VectorMoves.StoreGeneral(i) : null;
      case 0xD6 ->
          switch (prefix) {
            case 0x66 -> VectorMoves.create(i, prefix);
            case 0xF3 -> i.isMemory() ? null : new MmxInstructions.ToXmm(i);
            case 0xF2 -> i.isMemory() ? null : new MmxInstructions.FromXmm(i);
            default -> null;
          };
      case 0xD7 ->
          switch (prefix) {
            case 0 -> MmxInstructions.create(i);
            case 0x66 -> i.isMemory() ? null : new PackedIntegerInstructions.MoveMaskBytes(i);
            default -> null;
          };
      case 0xF7 ->
          switch (prefix) {
            case 0 -> MmxInstructions.create(i);
            case 0x66 -> i.isMemory() ? null : new VectorMoves.StoreMasked(i);
            default -> null;
          };
      default ->
          switch (prefix) {
            case 0 -> MmxInstructions.create(i);
            case 0x66 -> PackedIntegerInstructions.create(i);
            default -> null;
          };
    };
  }

  private static @Nullable Operation create38(Instruction i, int prefix) {
    if (prefix == 0) {
      return (i.opcode & 0xF8) == 0xC8 ? Sha.create(i) : MmxInstructions.create38(i);
    }
    if (prefix != 0x66) {
      return null;
    }
    return switch (i.opcode) {
      case 0x10, 0x14, 0x15 -> new PackedShuffle.BlendVariable(i);
      case 0xDB, 0xDC, 0xDD, 0xDE, 0xDF -> new Aes(i, i.opcode);
      default -> PackedIntegerInstructions.create38(i);
    };
  }

  private static @Nullable Operation create3a(Instruction i, int prefix) {
    if (prefix == 0) {
      return switch (i.opcode) {
        case 0x0F -> MmxInstructions.align(i);
        case 0xCC -> Sha.create(i);
        default -> null;
      };
    }
    if (prefix != 0x66) {
      return null;
    }
    return switch (i.opcode) {
      case 0x08, 0x09, 0x0A, 0x0B, 0x40, 0x41 -> SimdFloatInstructions.create3a(i);
      case 0x44 -> new CarrylessMultiplication(i);
      case 0x60, 0x61, 0x62, 0x63 -> new StringComparison(i);
      case 0xDF -> new Aes.AssistKey(i);
      default -> PackedShuffle.create3a(i);
    };
  }
}
