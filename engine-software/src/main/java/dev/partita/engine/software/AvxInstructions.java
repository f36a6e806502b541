package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// AVX, AVX2, FMA, F16C, and AES and PCLMULQDQ of 128 and 256 bits: finds the class that makes the
/// operation of a VEX-coded instruction of the vector registers, and knows which encodings are
/// invalid.
///
/// What an instruction asks of VEX: Intel SDM volume 2, the "Opcode" column: L (128 means 0, 256
/// means 1, LIG either), W (W0, W1, WIG) and the use of vvvv. An unused vvvv must be 1111, which
/// reads here as 0.
final class AvxInstructions {
  private AvxInstructions() {}

  static @Nullable Operation create(Instruction i) {
    int prefix = i.repeatPrefix != 0 ? i.repeatPrefix : i.operandPrefix ? 0x66 : 0;
    return switch (i.map) {
      case Instruction.MAP_0F -> create0f(i, prefix);
      case Instruction.MAP_0F38 -> prefix == 0x66 ? create38(i) : null;
      case Instruction.MAP_0F3A -> prefix == 0x66 ? create3a(i) : null;
      default -> null;
    };
  }

  private static boolean is128(Instruction i) {
    return i.vexLength == 0;
  }

  /// Whether VEX.vvvv is as it must be where it names no register.
  private static boolean two(Instruction i) {
    return i.vexRegister == 0;
  }

  // ---- Map 0F

  private static @Nullable Operation create0f(Instruction i, int prefix) {
    return switch (i.opcode) {
      case 0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2B -> move(i, prefix);
      case 0x6E, 0x6F, 0x7E, 0x7F, 0xD6, 0xE7, 0xF0 -> moveInteger(i, prefix);
      case 0x14, 0x15 -> prefix <= 0x66 ? lifted(i) : null;
      case 0x2A, 0x2C, 0x2D, 0x5A, 0x5B, 0xE6 -> convert(i, prefix);
      case 0x2E, 0x2F -> prefix <= 0x66 && two(i) ? compareFlags(i, prefix) : null;
      case 0x50 ->
          prefix <= 0x66 && two(i) && !i.isMemory()
              ? new AvxMoves.MoveMask(i, prefix == 0x66)
              : null;
      case 0x51 -> prefix > 0x66 || two(i) ? arithmetic(i, prefix) : null;
      case 0x52, 0x53 -> prefix == 0xF3 || (prefix == 0 && two(i)) ? arithmetic(i, prefix) : null;
      case 0x54, 0x55, 0x56, 0x57 -> prefix <= 0x66 ? AvxInteger.create(i, i.opcode) : null;
      case 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F -> arithmetic(i, prefix);
      case 0x70 -> prefix != 0 && two(i) ? lifted(i) : null;
      case 0x71, 0x72, 0x73 -> prefix == 0x66 ? AvxInteger.shiftByImmediate(i) : null;
      case 0x77 -> prefix == 0 && two(i) ? new AvxMoves.Clear(i) : null;
      case 0x7C, 0x7D, 0xD0 ->
          prefix == 0x66 || prefix == 0xF2 ? new AvxFloat.Across(i, prefix) : null;
      case 0xAE -> control(i, prefix);
      case 0xC2 -> new AvxFloat.Compare(i, prefix);
      case 0xC6 -> prefix <= 0x66 ? lifted(i) : null;
      default -> prefix == 0x66 ? integer(i) : null;
    };
  }

  private static @Nullable Operation move(Instruction i, int prefix) {
    boolean memory = i.isMemory();
    boolean packed = prefix <= 0x66;
    int size = prefix == 0xF3 ? 4 : 8;
    return switch (i.opcode) {
      case 0x10 -> {
        if (packed) {
          yield two(i) ? unaligned(i) : null;
        }
        if (memory) {
          yield two(i) ? new AvxMoves.Part(i, size) : null;
        }
        yield new AvxMoves.Merge(i.reg, i.vexRegister(), i.rm, size);
      }
      case 0x11 -> {
        if (packed) {
          yield two(i) ? (memory ? new AvxMoves.Store(i) : copyBack(i)) : null;
        }
        if (memory) {
          yield two(i) ? new AvxMoves.StorePart(i, 0, size) : null;
        }
        yield new AvxMoves.Merge(i.rm, i.vexRegister(), i.reg, size);
      }
      case 0x12, 0x16 ->
          switch (prefix) {
            case 0 -> is128(i) ? new AvxMoves.Half(i, i.opcode == 0x12 ? 0 : 1) : null;
            case 0x66 -> is128(i) && memory ? new AvxMoves.Half(i, i.opcode == 0x12 ? 0 : 1) : null;
            case 0xF3 -> two(i) ? new AvxMoves.DuplicateSingles(i, i.opcode == 0x16) : null;
            default -> i.opcode == 0x12 && two(i) ? new AvxMoves.DuplicateDoubles(i) : null;
          };
      case 0x13, 0x17 ->
          packed && is128(i) && memory && two(i)
              ? new AvxMoves.StorePart(i, i.opcode == 0x13 ? 0 : 1, 8)
              : null;
      case 0x28 -> packed && two(i) ? aligned(i) : null;
      case 0x29 -> packed && two(i) ? (memory ? new AvxMoves.StoreAligned(i) : copyBack(i)) : null;
      default -> packed && two(i) && memory ? new AvxMoves.StoreAligned(i) : null;
    };
  }

  private static @Nullable Operation moveInteger(Instruction i, int prefix) {
    if (!two(i)) {
      return null;
    }
    boolean memory = i.isMemory();
    return switch (i.opcode) {
      case 0x6E -> prefix == 0x66 && is128(i) ? new AvxMoves.FromGeneral(i) : null;
      case 0x6F ->
          switch (prefix) {
            case 0x66 -> aligned(i);
            case 0xF3 -> unaligned(i);
            default -> null;
          };
      case 0x7E -> {
        if (!is128(i)) {
          yield null;
        }
        yield switch (prefix) {
          case 0x66 -> {
            int bits = i.rexW() && i.is64() ? 64 : 32;
            yield new AvxMoves.Extract(i, i.rm, i.reg, bits, 0);
          }
          case 0xF3 -> new AvxMoves.Part(i, 8);
          default -> null;
        };
      }
      case 0x7F ->
          switch (prefix) {
            case 0x66 -> memory ? new AvxMoves.StoreAligned(i) : copyBack(i);
            case 0xF3 -> memory ? new AvxMoves.Store(i) : copyBack(i);
            default -> null;
          };
      case 0xD6 ->
          prefix == 0x66 && is128(i)
              ? (memory ? new AvxMoves.StorePart(i, 0, 8) : new AvxMoves.PartBack(i))
              : null;
      case 0xE7 -> prefix == 0x66 && memory ? new AvxMoves.StoreAligned(i) : null;
      default -> prefix == 0xF2 && memory ? unaligned(i) : null;
    };
  }

  private static Operation unaligned(Instruction i) {
    if (!i.isMemory()) {
      return new AvxMoves.Copy(i.reg, i.rm, !is128(i));
    }
    return is128(i) ? new AvxMoves.Load16(i) : new AvxMoves.Load32(i);
  }

  private static Operation aligned(Instruction i) {
    return i.isMemory() ? new AvxMoves.LoadAligned(i) : unaligned(i);
  }

  private static Operation copyBack(Instruction i) {
    return new AvxMoves.Copy(i.rm, i.reg, !is128(i));
  }

  private static @Nullable Operation arithmetic(Instruction i, int prefix) {
    return switch (prefix) {
      case 0 -> new AvxFloat.Singles(i);
      case 0x66 -> new AvxFloat.Doubles(i);
      default -> lifted(i);
    };
  }

  private static @Nullable Operation convert(Instruction i, int prefix) {
    switch (i.opcode) {
      case 0x2A:
        return prefix > 0x66 ? new AvxConversions.FromGeneral(i, prefix == 0xF2) : null;
      case 0x2C, 0x2D:
        if (!i.is64()) {
          // W means nothing there.
          i.rex &= ~8;
        }
        return prefix > 0x66 && two(i)
            ? new Lifted.Plain(i, new SimdConversions.ToGeneral(i, prefix))
            : null;
      case 0x5A:
        if (prefix > 0x66) {
          return lifted(i);
        }
        if (!two(i)) {
          return null;
        }
        return prefix == 0
            ? new AvxConversions.Widen(i, false)
            : new AvxConversions.Packed(i, AvxConversions.Packed.DOUBLES_TO_SINGLES);
      default:
        return two(i) ? convertIntegers(i, prefix) : null;
    }
  }

  private static @Nullable Operation convertIntegers(Instruction i, int prefix) {
    if (i.opcode == 0x5B) {
      return switch (prefix) {
        case 0 -> new AvxConversions.Packed(i, AvxConversions.Packed.INTEGERS_TO_SINGLES);
        case 0x66 -> new AvxConversions.Packed(i, AvxConversions.Packed.SINGLES_TO_INTEGERS);
        case 0xF3 -> new AvxConversions.Packed(i, AvxConversions.Packed.SINGLES_TRUNCATED);
        default -> null;
      };
    }
    return switch (prefix) {
      case 0x66 -> new AvxConversions.Packed(i, AvxConversions.Packed.DOUBLES_TRUNCATED);
      case 0xF3 -> new AvxConversions.Widen(i, true);
      case 0xF2 -> new AvxConversions.Packed(i, AvxConversions.Packed.DOUBLES_TO_INTEGERS);
      default -> null;
    };
  }

  private static Operation compareFlags(Instruction i, int prefix) {
    return new Lifted.Plain(i, new SimdFloatInstructions.CompareFlags(i, prefix));
  }

  private static @Nullable Operation control(Instruction i, int prefix) {
    if (prefix != 0 || !i.isMemory() || !is128(i) || !two(i)) {
      return null;
    }
    return switch (i.extension()) {
      case 2 -> new AvxMoves.LoadControl(i);
      case 3 -> new AvxMoves.StoreControl(i);
      default -> null;
    };
  }

  /// Packed integers, prefix 66.
  private static @Nullable Operation integer(Instruction i) {
    int op = i.opcode;
    return switch (op) {
      case 0x60, 0x61, 0x62, 0x63, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D -> lifted(i);
      case 0xC4 -> is128(i) ? new AvxMoves.Insert(i, 16) : null;
      case 0xC5 ->
          is128(i) && two(i) && !i.isMemory()
              ? new AvxMoves.Extract(i, i.reg, i.rm, 16, (int) i.immediate & 7)
              : null;
      case 0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3 -> new AvxInteger.Shift(i);
      case 0xD7 -> two(i) && !i.isMemory() ? new AvxInteger.MoveMaskBytes(i) : null;
      case 0xF7 -> is128(i) && two(i) && !i.isMemory() ? new AvxMaskedMoves.StoreBytes(i) : null;
      default -> PackedInteger.isHalf(op) ? AvxInteger.create(i, op) : null;
    };
  }

  // ---- Map 0F38, prefix 66

  private static @Nullable Operation create38(Instruction i) {
    int op = i.opcode;
    return switch (op) {
      case 0x00 -> new AvxShuffle.ShuffleBytes(i);
      case 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x2B -> lifted(i);
      case 0x04, 0x08, 0x09, 0x0A, 0x0B -> AvxInteger.create(i, 0x3800 | op);
      case 0x0C -> i.rexW() ? null : new AvxShuffle.PermuteSinglesVariable(i);
      case 0x0D -> i.rexW() ? null : new AvxShuffle.PermuteDoublesVariable(i);
      case 0x0E -> i.rexW() || !two(i) ? null : new AvxInteger.Test(i, PackedInteger.H32);
      case 0x0F -> i.rexW() || !two(i) ? null : new AvxInteger.Test(i, 1L << 63);
      case 0x13 -> i.rexW() || !two(i) ? null : new AvxConversions.FromHalf(i);
      case 0x16, 0x36 -> is128(i) || i.rexW() ? null : new AvxShuffle.PermuteDoublewords(i);
      case 0x17 -> two(i) ? new AvxInteger.Test(i, -1L) : null;
      case 0x18, 0x19, 0x1A, 0x58, 0x59, 0x5A, 0x78, 0x79 ->
          i.rexW() || !two(i) ? null : broadcast(i);
      case 0x1C, 0x1D, 0x1E -> two(i) ? AvxInteger.create(i, 0x3800 | op) : null;
      case 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35 ->
          two(i) ? new AvxShuffle.Extend(i) : null;
      case 0x28, 0x29, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x40 ->
          AvxInteger.create(i, 0x3800 | op);
      case 0x2A -> i.isMemory() && two(i) ? new AvxMoves.LoadAligned(i) : null;
      case 0x2C, 0x2D -> i.isMemory() && !i.rexW() ? new AvxMaskedMoves.Load(i, op == 0x2D) : null;
      case 0x2E, 0x2F -> i.isMemory() && !i.rexW() ? new AvxMaskedMoves.Store(i, op == 0x2F) : null;
      case 0x41 -> is128(i) && two(i) ? lifted(i) : null;
      case 0x45, 0x47 -> new AvxInteger.ShiftVariable(i);
      case 0x46 -> i.rexW() ? null : new AvxInteger.ShiftVariable(i);
      case 0x8C -> i.isMemory() ? new AvxMaskedMoves.Load(i, i.rexW()) : null;
      case 0x8E -> i.isMemory() ? new AvxMaskedMoves.Store(i, i.rexW()) : null;
      case 0x90, 0x91, 0x92, 0x93 -> gather(i);
      case 0xDB -> is128(i) && two(i) ? lifted(i) : null;
      case 0xDC, 0xDD, 0xDE, 0xDF -> lifted(i);
      default -> {
        int order = op >> 4;
        yield (order == 0x9 || order == 0xA || order == 0xB) && (op & 0xF) >= 6
            ? FusedMultiplyAdd.create(i)
            : null;
      }
    };
  }

  private static @Nullable Operation broadcast(Instruction i) {
    return switch (i.opcode) {
      case 0x18, 0x58 -> new AvxMoves.Broadcast(i, 32);
      case 0x19 -> is128(i) ? null : new AvxMoves.Broadcast(i, 64);
      case 0x1A, 0x5A -> is128(i) || !i.isMemory() ? null : new AvxMoves.BroadcastLane(i);
      case 0x59 -> new AvxMoves.Broadcast(i, 64);
      case 0x78 -> new AvxMoves.Broadcast(i, 8);
      default -> new AvxMoves.Broadcast(i, 16);
    };
  }

  /// A gather needs a SIB byte, and three different registers.
  private static @Nullable Operation gather(Instruction i) {
    int mask = i.vexRegister();
    if (!i.isMemory()
        || i.sibIndex < 0
        || mask == i.reg
        || mask == i.sibIndex
        || i.reg == i.sibIndex) {
      return null;
    }
    return new AvxMaskedMoves.Gather(i);
  }

  // ---- Map 0F3A, prefix 66

  private static @Nullable Operation create3a(Instruction i) {
    return switch (i.opcode) {
      case 0x00, 0x01 ->
          is128(i) || !i.rexW() || !two(i) ? null : new AvxShuffle.PermuteQuadwords(i);
      case 0x02 -> i.rexW() ? null : new AvxShuffle.Blend(i, 32);
      case 0x04 -> i.rexW() || !two(i) ? null : new AvxShuffle.PermuteSingles(i);
      case 0x05 -> i.rexW() || !two(i) ? null : new AvxShuffle.PermuteDoubles(i);
      case 0x06, 0x46 -> is128(i) || i.rexW() ? null : new AvxShuffle.PermuteLanes(i);
      case 0x08, 0x09 -> two(i) ? new AvxFloat.Round(i) : null;
      case 0x0A, 0x0B, 0x0F, 0x42, 0x44 -> lifted(i);
      case 0x0C -> new AvxShuffle.Blend(i, 32);
      case 0x0D -> new AvxShuffle.Blend(i, 64);
      case 0x0E -> new AvxShuffle.Blend(i, 16);
      case 0x14 -> extract(i, 8);
      case 0x15 -> extract(i, 16);
      case 0x16 -> extract(i, i.rexW() && i.is64() ? 64 : 32);
      case 0x17 -> extract(i, 32);
      case 0x18, 0x38 -> is128(i) || i.rexW() ? null : new AvxShuffle.InsertLane(i);
      case 0x19, 0x39 -> is128(i) || i.rexW() || !two(i) ? null : new AvxShuffle.ExtractLane(i);
      case 0x1D -> i.rexW() || !two(i) ? null : new AvxConversions.ToHalf(i);
      case 0x20 -> is128(i) ? new AvxMoves.Insert(i, 8) : null;
      case 0x21 -> is128(i) ? lifted(i) : null;
      case 0x22 -> is128(i) ? new AvxMoves.Insert(i, i.rexW() && i.is64() ? 64 : 32) : null;
      case 0x40 -> new AvxFloat.DotProductSingles(i);
      case 0x41 -> is128(i) ? lifted(i) : null;
      case 0x4A -> i.rexW() ? null : new AvxShuffle.BlendVariable(i, 32);
      case 0x4B -> i.rexW() ? null : new AvxShuffle.BlendVariable(i, 64);
      case 0x4C -> i.rexW() ? null : new AvxShuffle.BlendVariable(i, 8);
      case 0x60, 0x61, 0x62, 0x63 -> is128(i) && two(i) ? new AvxInteger.CompareStrings(i) : null;
      case 0xDF -> is128(i) && two(i) ? lifted(i) : null;
      default -> null;
    };
  }

  private static @Nullable Operation extract(Instruction i, int bits) {
    int position = (int) i.immediate & 0xFF;
    return is128(i) && two(i) ? new AvxMoves.Extract(i, i.rm, i.reg, bits, position) : null;
  }

  // ---- What is one with SSE's

  private static @Nullable Operation lifted(Instruction i) {
    int reg = i.reg;
    i.reg = Lifted.REGISTER;
    var low = lane(i, 0);
    i.reg = Lifted.REGISTER_HIGH;
    var high = lane(i, 1);
    i.reg = reg;
    if (low == null || high == null) {
      return null;
    }
    // Scalar instructions ignore VEX.L.
    boolean scalar = i.map == Instruction.MAP_0F && i.repeatPrefix != 0 && i.opcode != 0x70;
    scalar |= i.map == Instruction.MAP_0F3A && (i.opcode & 0xFE) == 0x0A;
    boolean wide = !scalar && !is128(i);
    return new Lifted(i, low, high, wide ? 32 : low.size, wide);
  }

  /// The SSE instruction's work on a lane: its destination is {@link Instruction#reg}.
  ///
  /// @param number 0 or 1
  private static @Nullable XmmOperation lane(Instruction i, int number) {
    return switch (i.map) {
      case Instruction.MAP_0F -> lane0f(i, number);
      case Instruction.MAP_0F38 -> lane38(i);
      default -> lane3a(i, number);
    };
  }

  private static @Nullable XmmOperation lane0f(Instruction i, int number) {
    int prefix = i.repeatPrefix != 0 ? i.repeatPrefix : i.operandPrefix ? 0x66 : 0;
    return switch (i.opcode) {
      case 0x14 -> new PackedIntegerInstructions.InterleaveLow(i, prefix == 0 ? 2 : 3);
      case 0x15 -> new PackedIntegerInstructions.InterleaveHigh(i, prefix == 0 ? 2 : 3);
      case 0x51, 0x52, 0x53, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F ->
          prefix == 0xF3
              ? new SimdFloatInstructions.ScalarSingle(i)
              : new SimdFloatInstructions.ScalarDouble(i);
      case 0x5A ->
          prefix == 0xF3 ? new SimdConversions.WidenScalar(i) : new SimdConversions.NarrowScalar(i);
      case 0x60, 0x61, 0x62, 0x6C -> new PackedIntegerInstructions.InterleaveLow(i);
      case 0x68, 0x69, 0x6A, 0x6D -> new PackedIntegerInstructions.InterleaveHigh(i);
      case 0x63, 0x67, 0x6B -> new PackedIntegerInstructions.Join(i, i.opcode);
      case 0x70 -> new PackedShuffle.Shuffle(i, prefix);
      case 0xC6 -> {
        if (prefix == 0) {
          yield new PackedShuffle.ShuffleSingles(i);
        }
        // Two bits of the immediate for each lane.
        long immediate = i.immediate;
        i.immediate = (immediate & 0xFF) >> 2 * number;
        var operation = new PackedShuffle.ShuffleDoubles(i);
        i.immediate = immediate;
        yield operation;
      }
      default -> null;
    };
  }

  private static @Nullable XmmOperation lane38(Instruction i) {
    return switch (i.opcode) {
      case 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x2B ->
          new PackedIntegerInstructions.Join(i, 0x3800 | i.opcode);
      case 0x41 -> new PackedIntegerInstructions.MinimumPosition(i);
      case 0xDB, 0xDC, 0xDD, 0xDE, 0xDF -> new Aes(i, i.opcode);
      default -> null;
    };
  }

  private static @Nullable XmmOperation lane3a(Instruction i, int number) {
    return switch (i.opcode) {
      case 0x0A, 0x0B -> new SimdFloatInstructions.Round(i);
      case 0x0F -> new PackedShuffle.Align(i);
      case 0x21 -> new PackedShuffle.InsertSingle(i);
      case 0x41 -> new SimdFloatInstructions.DotProductDoubles(i);
      case 0x42 -> {
        // Three bits of the immediate for each lane.
        long immediate = i.immediate;
        i.immediate = (immediate & 0xFF) >> 3 * number;
        var operation = new PackedShuffle.SumsOfDifferences(i);
        i.immediate = immediate;
        yield operation;
      }
      case 0x44 -> new CarrylessMultiplication(i);
      case 0xDF -> new Aes.AssistKey(i);
      default -> null;
    };
  }
}
