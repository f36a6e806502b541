package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_Throwable;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// The lowest part of {@link RegionEmitter}: the guest's registers, flags and memory in the code of
/// a region.
///
/// The general registers are in locals: a long each, and beside it an int for as long as the low
/// half was written last (then the upper half is 0 and the long is behind). Flags are {@link
/// RegionFlags}.
abstract class OperandEmitter {
  static final ClassDesc CPU = of(Cpu.class);
  static final ClassDesc RAW = of(Raw.class);
  static final ClassDesc SUPPORT = of(RegionSupport.class);
  static final ClassDesc CARRY = of(FlagCarry.class);
  static final ClassDesc OPERATION = of(Operation.class);
  static final ClassDesc OWNER = of(SoftwareProcessor.class);
  static final ClassDesc LONGS = CD_long.arrayType();

  // Locals.
  static final int C = 1;
  static final int BASE = 2;
  static final int LEFT = 4;
  static final int R = 5;
  static final int READ_TLB = 6;
  static final int WRITE_TLB = 7;
  static final int PROCESSOR = 8;
  static final int SITE = 9;
  static final int LONG = 10;
  static final int INT = 42;
  static final int FLAG_RESULT = 58;
  static final int FLAG_CARRY = 60;

  /// Of the instruction under way: an address, an index in the TLB, values.
  static final int ADDRESS = 62;

  static final int VALUE = 65;
  static final int VALUE2 = 67;
  static final int HOST = 70;

  /// Two words wide: an int or a long.
  static final int SLOT = 72;

  static final int ARRAY = 74;

  /// For flags: pairs.
  private static final int POOL = 76;

  static final int POOL_END = POOL + 48;

  /// The array of the vector registers.
  static final int XMM = POOL_END;

  /// Of the instruction under way: four longs.
  static final int TEMPORARY = XMM + 1;

  /// Three longs for what {@link FlagJoins} makes.
  static final int JOIN = TEMPORARY + 8;

  /// By which way the place was reached where ways met last: see {@link FlagJoins}.
  static final int WAY = JOIN + 6;

  /// The vector operand loaded last, then the elements of vector registers: see {@link
  /// VectorEmitter}. The last, because what is beyond 255 takes more bytecode.
  static final int VECTORS = WAY + 1;

  /// What the translator knows at a point of the code.
  ///
  /// @param origin of the flags, if they follow from registers that are as they were
  record State(
      int intOnly,
      RegionFlags flags,
      FlagJoins.@Nullable Origin origin,
      VectorEmitter.Known vectors) {}

  record Call(ClassDesc owner, String name, MethodTypeDesc type) {}

  final CodeBuilder b;

  /// The class that is made.
  final ClassDesc self;

  /// Code that is rarely executed, emitted behind the blocks.
  final List<Runnable> stubs = new ArrayList<>();

  /// What the code calls.
  final Set<Call> calls = new LinkedHashSet<>();

  /// Leaves with registers and flags in locals.
  final Label exit;

  final FlagEmitter flagEmitter;
  final ArithmeticEmitter arithmetic;
  final MemoryEmitter memory;
  final VectorEmitter vector;

  /// Registers that the code reads or writes, as bits.
  int used;

  int written;

  /// Registers whose int was written last, as bits.
  int intOnly;

  RegionFlags flags = RegionFlags.STORED;

  /// How {@link #flags} follow from registers, if {@link #originOf} are those flags.
  private FlagJoins.@Nullable Origin origin;

  private RegionFlags originOf = RegionFlags.STORED;

  /// Made for the JVM's optimizing compiler.
  final boolean optimized;

  /// Whether that is told the odds of branches.
  final boolean tellsOdds;

  OperandEmitter(CodeBuilder b, ClassDesc self, boolean optimized) {
    this.b = b;
    this.optimized = optimized;
    this.tellsOdds = optimized && Odds.AVAILABLE;
    this.self = self;
    exit = b.newLabel();
    flagEmitter = new FlagEmitter(this);
    arithmetic = new ArithmeticEmitter(this);
    memory = MemoryEmitter.of(this);
    vector = new VectorEmitter(this);
  }

  static ClassDesc of(Class<?> type) {
    return type.describeConstable().orElseThrow();
  }

  /// From the region's entry to the block under way, in bytes of guest code.
  abstract long blockOffset();

  /// The site of the instruction under way: what a stub that may leave stores in {@link #SITE}.
  abstract int siteHere();

  /// A stub that may leave by {@link #exit}: registers and flags are in their locals.
  final void stub(Label label, Runnable code) {
    int here = siteHere();
    var state = state();
    stubs.add(
        () -> {
          b.labelBinding(label);
          settle(state);
          b.loadConstant(here).istore(SITE);
          code.run();
        });
  }

  /// After a call that notes what was thrown instead of throwing it.
  final void checkThrown(Label leave) {
    b.aload(C).getfield(CPU, "regionThrown", CD_Throwable);
    if (tellsOdds) {
      var nothing = b.newLabel();
      b.ifnull(nothing);
      insist(Odds.ALWAYS, nothing);
      b.goto_(leave);
      b.labelBinding(nothing);
    } else {
      b.ifnonnull(leave);
    }
  }

  // ---- Branches

  /// Goes to a label if the int on the stack, which is 0 or 1, is 1.
  void if1(Odds odds, Label label) {
    if (tellsOdds) {
      odds.tell(b);
    }
    b.ifne(label);
  }

  /// Goes to a label if the int on the stack, which is 0 or 1, is 0.
  void if0(Odds odds, Label label) {
    if (tellsOdds) {
      odds.negated().tell(b);
    }
    b.ifeq(label);
  }

  /// Replaces the two longs on the stack by 0 if they are equal, else by 1; or by anything but 0,
  /// if no compiler is told.
  void differ() {
    if (tellsOdds) {
      // The compiler makes one comparison of both. Without a sign, that with 0 has no third result.
      b.lxor().lconst_0();
      invokeJava(Long.class, "compareUnsigned", CD_int, CD_long, CD_long);
    } else {
      b.lcmp();
    }
  }

  /// Replaces the int on the stack by 1 if it is not 0; or leaves it, if no compiler is told.
  void toBit() {
    if (tellsOdds) {
      // As a long: with Integer.compareUnsigned HotSpot makes wrong code now and then.
      b.i2l().lconst_0();
      invokeJava(Long.class, "compareUnsigned", CD_int, CD_long, CD_long);
    }
  }

  /// Behind a branch to a label that is mostly taken, for which the compiler cannot be told so. It
  /// is told that those who come by here mostly go there too, by a branch that is never taken.
  void insist(Odds odds, Label label) {
    if (tellsOdds) {
      b.aload(C).getfield(CPU, "never", CD_int);
      if1(odds, label);
    }
  }

  /// Resolves what these methods refer to.
  void resolveOdds() {
    if (tellsOdds) {
      Odds.resolve(b);
    }
  }

  // ---- State
  // ----------------------------------------------------------------------------------------

  State state() {
    return new State(intOnly, flags, origin(), vector.known());
  }

  /// Code that brings longs and flags into their locals, in a stub: the state of what is emitted
  /// does not change.
  void settle(State state) {
    settleRegisters(state.intOnly);
    settleFlags(state.flags);
  }

  void settleRegisters(int which) {
    for (int i = 0; i < 16; i++) {
      if ((which & 1 << i) != 0) {
        b.iload(INT + i);
        extend();
        b.lstore(LONG + 2 * i);
      }
    }
  }

  void settleFlags(RegionFlags flags) {
    if (flags.kind() != RegionFlags.Kind.STORED) {
      joins().store(flags);
    }
  }

  /// What is known about flags where ways meet.
  abstract FlagJoins joins();

  private FlagJoins.@Nullable Origin origin() {
    return originOf == flags ? origin : null;
  }

  /// Notes that the flags, just set, follow from registers in this way.
  void follow(FlagJoins.@Nullable Origin origin) {
    this.origin = origin;
    originOf = flags;
  }

  /// All longs and flags in their locals, here.
  void settle() {
    settle(state());
    intOnly = 0;
    flags = RegionFlags.STORED;
  }

  void extend() {
    b.i2l().loadConstant(0xFFFF_FFFFL).land();
  }

  /// A local for a part of the flags, free now.
  int flagLocal(int... others) {
    for (int local = POOL; local < POOL_END; local += 2) {
      boolean free = !flags.uses(local);
      for (int other : others) {
        free &= other != local;
      }
      if (free) {
        return local;
      }
    }
    throw new IllegalStateException("too many flags");
  }

  /// Before an operation that leaves some flags as they are: keeps the chain short.
  void boundFlags() {
    if (flags.depth() >= 3) {
      settleFlags(flags);
      flags = RegionFlags.STORED;
    }
  }

  // ---- Registers
  // ------------------------------------------------------------------------------------

  /// Pushes all of a register. Numbers as in {@link Cpu#r}.
  void getLong(int register) {
    if (register == Cpu.ZERO) {
      b.lconst_0();
    } else if (register == Cpu.RIP_BASE) {
      b.lload(BASE);
      addConstant(blockOffset());
    } else {
      used |= 1 << register;
      if ((intOnly & 1 << register) != 0) {
        b.iload(INT + register);
        extend();
        b.dup2().lstore(LONG + 2 * register);
        intOnly &= ~(1 << register);
      } else {
        b.lload(LONG + 2 * register);
      }
    }
  }

  /// Pushes the low half as an int.
  void getInt(int register) {
    used |= 1 << register;
    if ((intOnly & 1 << register) != 0) {
      b.iload(INT + register);
    } else {
      b.lload(LONG + 2 * register).l2i();
    }
  }

  /// Pops a long into a register.
  void putLong(int register) {
    note(register);
    intOnly &= ~(1 << register);
    b.lstore(LONG + 2 * register);
  }

  /// Pops an int into a register; the upper half becomes 0.
  void putInt(int register) {
    note(register);
    intOnly |= 1 << register;
    b.istore(INT + register);
  }

  void note(int register) {
    joins().note(flags, register);
    if (origin != null && (origin.registers() & 1 << register) != 0) {
      origin = null;
    }
    used |= 1 << register;
    written |= 1 << register;
  }

  /// Pushes a register operand: a long for 8 bytes, else an int, zero-extended.
  void get(int register, int size) {
    switch (size) {
      case 8 -> getLong(register);
      case 4 -> getInt(register);
      case 2 -> {
        getInt(register);
        b.loadConstant(0xFFFF).iand();
      }
      default -> {
        if (register < 16) {
          getInt(register);
        } else {
          getInt(register & 3);
          b.bipush(8).iushr();
        }
        b.loadConstant(0xFF).iand();
      }
    }
  }

  /// Pops a value into a register operand; bits above the size are ignored.
  void put(int register, int size) {
    switch (size) {
      case 8 -> putLong(register);
      case 4 -> putInt(register);
      case 2 -> merge(register, 0xFFFF, 0);
      default -> merge(register < 16 ? register : register & 3, 0xFF, register < 16 ? 0 : 8);
    }
  }

  private void merge(int register, int mask, int shift) {
    note(register);
    b.loadConstant(mask).iand();
    if (shift != 0) {
      b.bipush(shift).ishl();
    }
    int keep = ~(mask << shift);
    if ((intOnly & 1 << register) != 0) {
      b.iload(INT + register).loadConstant(keep).iand().ior().istore(INT + register);
    } else {
      b.i2l().lload(LONG + 2 * register).loadConstant((long) keep).land().lor();
      b.lstore(LONG + 2 * register);
    }
  }

  /// Pushes a local: a long for 8 bytes, else an int.
  void push(int local, int size) {
    if (size == 8) {
      b.lload(local);
    } else {
      b.iload(local);
    }
  }

  /// Pops into a local.
  void storeLocal(int local, int size) {
    if (size == 8) {
      b.lstore(local);
    } else {
      b.istore(local);
    }
  }

  void addConstant(long value) {
    if (value != 0) {
      b.loadConstant(value).ladd();
    }
  }

  /// Pushes a constant operand: a long for 8 bytes, else an int, zero-extended.
  void constant(long value, int size) {
    switch (size) {
      case 8 -> b.loadConstant(value);
      case 4 -> b.loadConstant((int) value);
      default -> b.loadConstant((int) (value & Operands.mask(size)));
    }
  }

  // ---- Memory
  // ---------------------------------------------------------------------------------------

  /// Pushes the effective address.
  void effectiveAddress(MemoryOperand m) {
    boolean any = false;
    long displacement = m.displacement;
    if (m.base == Cpu.RIP_BASE) {
      b.lload(BASE);
      displacement += blockOffset();
      any = true;
    } else if (m.base != Cpu.ZERO) {
      getLong(m.base);
      any = true;
    }
    if (m.index != Cpu.ZERO) {
      getLong(m.index);
      if (m.scale != 0) {
        b.loadConstant(m.scale).lshl();
      }
      if (any) {
        b.ladd();
      }
      any = true;
    }
    if (!any) {
      b.loadConstant(displacement);
    } else {
      addConstant(displacement);
    }
    if (m.offsetMask() != -1L) {
      b.loadConstant(m.offsetMask()).land();
    }
  }

  /// Stores the linear address in {@link #ADDRESS}.
  void address(MemoryOperand m) {
    effectiveAddress(m);
    if (m.segment != Cpu.NO_SEGMENT) {
      b.aload(C).getfield(CPU, "segmentBase", LONGS).loadConstant(m.segment).laload().ladd();
    }
    b.lstore(ADDRESS);
  }

  /// Looks {@link #ADDRESS} up; goes to a label when it is not there, else stores the host's
  /// address in {@link #HOST}.
  void probe(int table, int size, Label miss) {
    memory.slot(ADDRESS, SLOT);
    memory.tableEntry(table, SLOT, 0);
    b.lload(ADDRESS);
    addConstant(size - 1);
    b.loadConstant(Tlb.PAGE_MASK).land();
    differ();
    if1(Odds.NEVER, miss);
    b.lload(ADDRESS);
    memory.tableEntry(table, SLOT, 1);
    b.ladd().lstore(HOST);
  }

  /// Pushes what is at an operand: a long for 8 bytes, else an int, zero-extended.
  void load(MemoryOperand m, int size) {
    address(m);
    loadAddressed(size);
  }

  /// Pushes what is at {@link #ADDRESS}.
  private void loadAddressed(int size) {
    probe(READ_TLB, size, leaving());
    memory.load(size, HOST);
  }

  /// The label of the way out before the instruction under way: the interpreter executes it.
  Label leaving() {
    var way = b.newLabel();
    int here = siteHere();
    var state = state();
    stubs.add(
        () -> {
          b.labelBinding(way);
          settle(state);
          b.loadConstant(here).istore(SITE).goto_(exit);
        });
    return way;
  }

  /// Pops a value and stores it at an operand. What it pops was computed before the address.
  void store(MemoryOperand m, int size) {
    popValue(size);
    address(m);
    storeAddressed(size);
  }

  void popValue(int size) {
    if (size == 8) {
      b.lstore(VALUE);
    } else {
      b.istore(VALUE);
    }
  }

  void pushValue(int size) {
    if (size == 8) {
      b.lload(VALUE);
    } else {
      b.iload(VALUE);
    }
  }

  /// Stores {@link #VALUE} at {@link #ADDRESS}.
  private void storeAddressed(int size) {
    probe(WRITE_TLB, size, leaving());
    memory.store(size, HOST, VALUE);
  }

  /// Reads, changes and writes an operand that is not locked.
  ///
  /// @param change replaces the old value on the stack by the new one
  void update(MemoryOperand m, int size, Runnable change) {
    address(m);
    probe(WRITE_TLB, size, leaving());
    memory.load(size, HOST);
    change.run();
    popValue(size);
    memory.store(size, HOST, VALUE);
  }

  /// Pops a long and pushes it on the guest's stack.
  void push() {
    b.lstore(VALUE);
    getLong(Cpu.RSP);
    addConstant(-8);
    b.lstore(ADDRESS);
    storeAddressed(8);
    b.lload(ADDRESS);
    putLong(Cpu.RSP);
  }

  /// Pushes what is at an address of the guest's stack that is on the stack.
  void loadStack() {
    b.lstore(ADDRESS);
    loadAddressed(8);
  }

  void invoke(ClassDesc owner, String name, ClassDesc result, ClassDesc... parameters) {
    var type = MethodTypeDesc.of(result, parameters);
    calls.add(new Call(owner, name, type));
    b.invokestatic(owner, name, type);
  }

  /// A method of the class library, with results that follow from the operands alone.
  void invokeJava(Class<?> owner, String name, ClassDesc result, ClassDesc... parameters) {
    invoke(of(owner), name, result, parameters);
  }
}
