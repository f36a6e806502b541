package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;

import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import org.jspecify.annotations.Nullable;

/// The vector registers in the code of a region, 64 bits at a time, by their index in {@link
/// Cpu#xmm}.
///
/// What is written goes to {@link Cpu#xmm} at once, so that it is right wherever the region is
/// left; what was read or written stays in a local, so that it is read from there once at most
/// between two calls.
final class VectorEmitter {
  private static final ClassDesc SUPPORT = OperandEmitter.of(VectorSupport.class);

  /// What the code knows at a point.
  ///
  /// @param cached the elements whose value is in their local, as bits by index
  /// @param zero the elements that are 0, as bits by index
  /// @param sse whether SSE instructions were found to be allowed
  /// @param avx whether VEX-coded ones were
  record Known(long cached, long zero, boolean sse, boolean avx) {
    static final Known NOTHING = new Known(0, 0, false, false);
  }

  private final OperandEmitter e;
  private final CodeBuilder b;
  private long cached;
  private long zero;
  private boolean sse;
  private boolean avx;

  /// Whether the region has a local for {@link Cpu#xmm}.
  boolean used;

  final PackedEmitter packed;
  final FloatEmitter floats;

  VectorEmitter(OperandEmitter e) {
    this.e = e;
    this.b = e.b;
    this.packed = new PackedEmitter(e, this);
    this.floats = new FloatEmitter(e, this);
  }

  Known known() {
    return new Known(cached, zero, sse, avx);
  }

  void know(Known known) {
    cached = known.cached;
    zero = known.zero;
    sse = known.sse;
    avx = known.avx;
  }

  /// An operation was called: it may have changed any register.
  void forget() {
    cached = 0;
    zero = 0;
  }

  // ---- Whether it is allowed

  /// Before an SSE instruction.
  void requireSse() {
    if (!sse) {
      sse = true;
      require("Sse");
    }
  }

  /// Before a VEX-coded instruction.
  void requireAvx() {
    if (!avx) {
      avx = true;
      require("Avx");
    }
  }

  private void require(String what) {
    b.aload(OperandEmitter.C);
    e.invoke(SUPPORT, "has" + what, CD_boolean, OperandEmitter.CPU);
    e.if0(Odds.NEVER, e.leaving());
  }

  // ---- Registers

  /// The local of an element: the memory operand's first, then the lower halves of all registers.
  private static int local(int index) {
    if (index >= YmmOperation.OPERAND) {
      return OperandEmitter.VECTORS + 2 * (index - YmmOperation.OPERAND);
    }
    int first = OperandEmitter.VECTORS + 8 + ((index & 2) == 0 ? 0 : 64);
    return first + 2 * (2 * (index >> 2) + (index & 1));
  }

  private static long bit(int index) {
    return index < YmmOperation.OPERAND ? 1L << index : 0;
  }

  /// Sees to it that an element is in its local: before ways part, of which one reads it.
  void fetch(int index) {
    if (index < YmmOperation.OPERAND && (cached & bit(index)) == 0) {
      used = true;
      e.memory.loadElement(OperandEmitter.XMM, index);
      b.lstore(local(index));
      cached |= bit(index);
    }
  }

  /// Pushes an element, or a part of the memory operand loaded last.
  ///
  /// @param index of an element, or {@link YmmOperation#OPERAND} and what follows
  void get(int index) {
    if ((zero & bit(index)) != 0) {
      b.lconst_0();
    } else {
      fetch(index);
      b.lload(local(index));
    }
  }

  /// Pushes an element that was in its local where the stub under way begins.
  void getAside(int index) {
    b.lload(local(index));
  }

  /// Pops an element.
  void put(int index) {
    used = true;
    b.lstore(local(index));
    e.memory.storeElement(OperandEmitter.XMM, index, local(index));
    cached |= bit(index);
    zero &= ~bit(index);
  }

  /// Makes an element 0.
  void clear(int index) {
    if ((zero & bit(index)) == 0) {
      b.lconst_0();
      put(index);
      zero |= bit(index);
    }
  }

  /// Makes bits 255:128 of a register 0.
  void clearUpper(int index) {
    clear(index + 2);
    clear(index + 3);
  }

  /// Elements that a call has changed in the processor's array, to their locals.
  void reload(int index, int count) {
    for (int i = index; i < index + count; i++) {
      e.memory.loadElement(OperandEmitter.XMM, i);
      b.lstore(local(i));
    }
  }

  /// Copies elements.
  void copy(int to, int from, int count) {
    for (int i = 0; i < count; i++) {
      get(from + i);
      put(to + i);
    }
  }

  /// Moves a general register or what is in memory to an element.
  ///
  /// @param size 4 or 8 bytes
  void fromGeneral(RegionEmitter e, int to, @Nullable MemoryOperand m, int from, int size) {
    if (m != null) {
      e.load(m, size);
    } else {
      e.get(from, size);
    }
    if (size == 4) {
      e.extend();
    }
    put(to);
  }

  /// Pops a long into a general register.
  void toGeneral(int register, boolean wide) {
    if (wide) {
      e.putLong(register);
    } else {
      b.l2i();
      e.putInt(register);
    }
  }

  // ---- Memory

  /// Loads a memory operand, for {@link #get}.
  ///
  /// @param size bytes: 1, 2, 4, 8, 16 or 32; up to 16 bytes are filled up with 0
  /// @param aligned whether an address that is no multiple of the size is a fault
  void loadOperand(MemoryOperand m, int size, boolean aligned) {
    int at = YmmOperation.OPERAND;
    used = true;
    if (size <= 8) {
      e.load(m, size);
      if (size < 8) {
        b.i2l();
        if (size == 4) {
          b.loadConstant(0xFFFF_FFFFL).land();
        }
      }
      b.lstore(local(at));
      b.lconst_0().lstore(local(at + 1));
      return;
    }
    e.address(m);
    if (aligned) {
      checkAligned(size);
    }
    e.probe(OperandEmitter.READ_TLB, size, e.leaving());
    e.memory.loadLongs(OperandEmitter.HOST, size / 8, local(at));
  }

  /// Stores elements.
  ///
  /// @param size 16 or 32 bytes
  void store(MemoryOperand m, int size, int from, boolean aligned) {
    used = true;
    for (int i = 0; i < size / 8; i++) {
      fetch(from + i);
    }
    e.address(m);
    if (aligned) {
      checkAligned(size);
    }
    e.probe(OperandEmitter.WRITE_TLB, size, e.leaving());
    var locals = new int[size / 8];
    for (int i = 0; i < locals.length; i++) {
      locals[i] = local(from + i);
    }
    e.memory.storeLongs(OperandEmitter.HOST, locals);
  }

  private void checkAligned(int size) {
    b.lload(OperandEmitter.ADDRESS).l2i().loadConstant(size - 1).iand();
    e.toBit();
    e.if1(Odds.NEVER, e.leaving());
  }
}
