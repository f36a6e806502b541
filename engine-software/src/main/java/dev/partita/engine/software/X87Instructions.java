package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// The instructions of the x87 unit (opcodes D8 to DF, and 9B) and those that save and restore it
/// (0F AE, 0F C7). Intel SDM volume 2, appendix A.5 ("Escape Opcodes"). The aliases that the tables
/// leave blank and processors have (such as DC D0) are here as well.
final class X87Instructions {
  private X87Instructions() {}

  static @Nullable Operation create(Instruction i) {
    if (i.map == Instruction.MAP_ONE_BYTE) {
      if (i.opcode == 0x9B) {
        return new X87Control.Wait();
      }
      return (i.opcode & 0xF8) == 0xD8 ? escape(i) : null;
    }
    if (i.map == Instruction.MAP_0F && !i.vex && i.isMemory()) {
      return StateImageInstructions.create(i);
    }
    return null;
  }

  private static @Nullable Operation escape(Instruction i) {
    return i.isMemory() ? memory(i) : register(i);
  }

  private static @Nullable Operation memory(Instruction i) {
    int extension = i.extension();
    return switch (i.opcode) {
      case 0xD8 -> new X87Arithmetic(i, extension, X87Arithmetic.SINGLE);
      case 0xDA -> new X87Arithmetic(i, extension, X87Arithmetic.INTEGER_32);
      case 0xDC -> new X87Arithmetic(i, extension, X87Arithmetic.DOUBLE);
      case 0xDE -> new X87Arithmetic(i, extension, X87Arithmetic.INTEGER_16);
      case 0xD9 ->
          switch (extension) {
            case 0 -> new X87Load(i, X87Load.SINGLE);
            case 2, 3 -> new X87Store(i, X87Store.SINGLE, extension == 3);
            case 4 -> new X87Control(i, X87Control.LOAD_ENVIRONMENT);
            case 5 -> new X87Control(i, X87Control.LOAD_CONTROL);
            case 6 -> new X87Control(i, X87Control.STORE_ENVIRONMENT);
            case 7 -> new X87Control(i, X87Control.STORE_CONTROL);
            default -> null;
          };
      case 0xDB ->
          switch (extension) {
            case 0 -> new X87Load(i, X87Load.INTEGER_32);
            case 1 -> new X87Store(i, X87Store.TRUNCATED_32, true);
            case 2, 3 -> new X87Store(i, X87Store.INTEGER_32, extension == 3);
            case 5 -> new X87Load(i, X87Load.EXTENDED);
            case 7 -> new X87Store(i, X87Store.EXTENDED, true);
            default -> null;
          };
      case 0xDD ->
          switch (extension) {
            case 0 -> new X87Load(i, X87Load.DOUBLE);
            case 1 -> new X87Store(i, X87Store.TRUNCATED_64, true);
            case 2, 3 -> new X87Store(i, X87Store.DOUBLE, extension == 3);
            case 4 -> new X87Control(i, X87Control.RESTORE);
            case 6 -> new X87Control(i, X87Control.SAVE);
            case 7 -> new X87Control(i, X87Control.STORE_STATUS);
            default -> null;
          };
      default ->
          switch (extension) {
            case 0 -> new X87Load(i, X87Load.INTEGER_16);
            case 1 -> new X87Store(i, X87Store.TRUNCATED_16, true);
            case 2, 3 -> new X87Store(i, X87Store.INTEGER_16, extension == 3);
            case 4 -> new X87Load(i, X87Load.DECIMAL);
            case 5 -> new X87Load(i, X87Load.INTEGER_64);
            case 6 -> new X87Store(i, X87Store.DECIMAL, true);
            default -> new X87Store(i, X87Store.INTEGER_64, true);
          };
    };
  }

  private static @Nullable Operation register(Instruction i) {
    int extension = i.extension();
    int rm = i.rm & 7;
    return switch (i.opcode) {
      case 0xD8 -> new X87Arithmetic(i, extension, X87Arithmetic.TO_TOP);
      case 0xD9 ->
          switch (extension) {
            case 0 -> new X87Stack(i, X87Stack.LOAD);
            case 1 -> new X87Stack(i, X87Stack.EXCHANGE);
            case 2 -> rm == 0 ? new X87Stack(i, X87Stack.NOTHING) : null;
            case 3 -> new X87Stack(i, X87Stack.STORE_POP_QUIET);
            default -> X87Function.create(i);
          };
      case 0xDA ->
          switch (extension) {
            case 0, 1, 2, 3 -> new X87Stack(i, X87Stack.MOVE_IF);
            case 5 -> rm == 1 ? new X87Compare(i, 1, true, false, 2) : null;
            default -> null;
          };
      case 0xDB ->
          switch (extension) {
            case 0, 1, 2, 3 -> new X87Stack(i, X87Stack.MOVE_IF);
            case 4 ->
                switch (rm) {
                  // FENI, FDISI and FSETPM of the 8087 and 80287 do nothing.
                  case 0, 1, 4 -> new X87Control(i, X87Control.NOTHING);
                  case 2 -> new X87Control(i, X87Control.CLEAR_EXCEPTIONS);
                  case 3 -> new X87Control(i, X87Control.INITIALIZE);
                  default -> null;
                };
            case 5 -> new X87Compare(i, rm, true, true, 0);
            case 6 -> new X87Compare(i, rm, false, true, 0);
            default -> null;
          };
      case 0xDC ->
          switch (extension) {
            case 2, 3 -> new X87Compare(i, rm, false, false, extension - 2);
            default -> new X87Arithmetic(i, reversed(extension), X87Arithmetic.FROM_TOP);
          };
      case 0xDD ->
          switch (extension) {
            case 0 -> new X87Stack(i, X87Stack.FREE);
            case 1 -> new X87Stack(i, X87Stack.EXCHANGE);
            case 2 -> new X87Stack(i, X87Stack.STORE);
            case 3 -> new X87Stack(i, X87Stack.STORE_POP);
            case 4, 5 -> new X87Compare(i, rm, true, false, extension - 4);
            default -> null;
          };
      case 0xDE ->
          switch (extension) {
            case 2 -> new X87Compare(i, rm, false, false, 1);
            case 3 -> rm == 1 ? new X87Compare(i, rm, false, false, 2) : null;
            default -> new X87Arithmetic(i, reversed(extension), X87Arithmetic.FROM_TOP_POP);
          };
      default ->
          switch (extension) {
            case 0 -> new X87Stack(i, X87Stack.FREE_POP);
            case 1 -> new X87Stack(i, X87Stack.EXCHANGE);
            case 2, 3 -> new X87Stack(i, X87Stack.STORE_POP);
            case 4 -> rm == 0 ? new X87Control(i, X87Control.STORE_STATUS_AX) : null;
            case 5 -> new X87Compare(i, rm, true, true, 1);
            case 6 -> new X87Compare(i, rm, false, true, 1);
            default -> null;
          };
    };
  }

  /// With the destination in ST(i), the opcodes of the reversed and plain forms change places.
  private static int reversed(int extension) {
    return extension >= 4 ? extension ^ 1 : extension;
  }
}
