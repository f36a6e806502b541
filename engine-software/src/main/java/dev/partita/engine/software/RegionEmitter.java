package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_Throwable;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;
import static java.lang.constant.ConstantDescs.CD_void;

import dev.partita.engine.software.RegionShape.Node;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.instruction.SwitchCase;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Makes the bytecode of a region: what {@link Operation#emit} works with.
///
/// The guest's general registers are in locals: a long each, and beside it an int for as long as
/// the low half was written last (then the upper half is 0 and the long is behind). Flags are
/// {@link RegionFlags}. What is rarely executed (misses in the TLB, exits, calls of operations)
/// lies behind the blocks, in stubs that bring the locals into order before they leave.
///
/// State is exact at every point that may fault: a stub sets the site (RIP and instructions not
/// executed), stores longs and flags in their locals, and the exception handler writes all back.
final class RegionEmitter {
  static final ClassDesc CPU = of(Cpu.class);
  static final ClassDesc RAW = of(Raw.class);
  static final ClassDesc SUPPORT = of(RegionSupport.class);
  static final ClassDesc CARRY = of(FlagCarry.class);
  static final ClassDesc OPERATION = of(Operation.class);
  private static final ClassDesc OWNER = of(SoftwareProcessor.class);
  private static final ClassDesc LONGS = CD_long.arrayType();

  // Locals.
  static final int C = 1;
  static final int BASE = 2;
  private static final int LEFT = 4;
  private static final int R = 5;
  private static final int READ_TLB = 6;
  private static final int WRITE_TLB = 7;
  private static final int PROCESSOR = 8;
  private static final int SITE = 9;
  private static final int LONG = 10;
  private static final int INT = 42;
  static final int FLAG_RESULT = 58;
  static final int FLAG_CARRY = 60;

  /// Of the instruction under way: an address, an index in the TLB, values.
  static final int ADDRESS = 62;

  static final int VALUE = 65;
  static final int VALUE2 = 67;
  private static final int HOST = 70;

  /// Two words wide: an int or a long.
  private static final int SLOT = 72;

  static final int ARRAY = 74;

  /// For flags: pairs.
  private static final int POOL = 76;

  private static final int POOL_END = POOL + 48;

  /// What the translator knows at a point of the code.
  private record State(int intOnly, RegionFlags flags) {
    static final State START = new State(0, RegionFlags.STORED);
  }

  private record Call(ClassDesc owner, String name, MethodTypeDesc type) {}

  final CodeBuilder b;
  private final RegionShape shape;
  final ClassDesc self;
  private final List<Node> order = new ArrayList<>();
  private final Label[] labels;
  private final @Nullable State[] inherited;
  private final List<Runnable> stubs = new ArrayList<>();
  private final Set<Call> calls = new LinkedHashSet<>();

  /// Operations that are called, in the order of their numbers.
  final List<Operation> called = new ArrayList<>();

  /// Where the region can be entered; the first node first.
  final List<Node> entries = new ArrayList<>();

  private static final int MAX_ENTRIES = 8;

  final List<Long> siteRip = new ArrayList<>();
  final List<Integer> siteNotExecuted = new ArrayList<>();
  private final int knownUsed;
  private final int knownWritten;
  private int used;
  private int written;
  /// Leaves with registers and flags in locals.
  private final Label exit;

  /// Leaves with registers and flags in the processor.
  private final Label exitStored;

  private final FlagEmitter flagEmitter;
  final MemoryEmitter memory;

  // Where the emission is.
  private int intOnly;
  RegionFlags flags = RegionFlags.STORED;
  private Node node;
  private int instruction;
  private int site;
  private boolean reachable;

  /// Operations emitted inline, for statistics.
  int inline;

  /// @param first the emission of the same region before, whose registers are known; or null: then
  ///     the code is only right if it calls nothing
  RegionEmitter(CodeBuilder b, RegionShape shape, ClassDesc self, @Nullable RegionEmitter first) {
    this.b = b;
    this.knownUsed = first == null ? 0 : first.used;
    this.knownWritten = first == null ? 0 : first.written;
    this.shape = shape;
    this.self = self;
    shape.nodes.forEach(
        each -> {
          each.order = -1;
          each.isEntry = false;
        });
    arrange(shape.entry());
    findEntries();
    labels = new Label[order.size()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = b.newLabel();
    }
    inherited = new State[order.size()];
    exit = b.newLabel();
    exitStored = b.newLabel();
    node = shape.entry();
    flagEmitter = new FlagEmitter(this);
    memory = MemoryEmitter.of(this);
  }

  private static ClassDesc of(Class<?> type) {
    return type.describeConstable().orElseThrow();
  }

  /// Depth first, what comes next in memory first: a block with one predecessor comes after it.
  private void arrange(Node node) {
    if (node.order >= 0) {
      return;
    }
    node.order = order.size();
    order.add(node);
    node.successors().forEach(this::arrange);
  }

  /// The region is entered at its first block, and where a loop begins: so that it is not left for
  /// long when an instruction in a loop has to be interpreted.
  private void findEntries() {
    enter(shape.entry());
    for (var from : order) {
      for (var to : from.successors()) {
        if (to.order <= from.order && !to.isEntry && entries.size() < MAX_ENTRIES) {
          enter(to);
        }
      }
    }
  }

  private void enter(Node at) {
    at.isEntry = true;
    entries.add(at);
  }

  /// Whether a node is reached only from one other: then that one's state holds.
  private static boolean follows(Node node) {
    return node.predecessors == 1 && !node.isEntry;
  }

  // ---- The whole
  // ------------------------------------------------------------------------------------

  void emitRegion() {
    var prologue = b.newLabel();
    b.goto_(prologue);
    for (var each : order) {
      emitBlock(each);
    }
    emitStubs();
    b.labelBinding(prologue);
    emitPrologue();
  }

  private void emitBlock(Node each) {
    node = each;
    var state = inherited[each.order];
    if (!follows(each) || state == null) {
      state = State.START;
    }
    intOnly = state.intOnly;
    flags = state.flags;
    b.labelBinding(labels[each.order]);
    var block = each.block;
    b.iinc(LEFT, -block.instructions);
    reachable = true;
    for (int i = 0; i < block.operations.length; i++) {
      instruction = i;
      site = -1;
      var operation = block.operations[i];
      if (operation.emit(this)) {
        inline++;
      } else {
        emitCall(operation);
      }
    }
  }

  private void emitPrologue() {
    b.aload(C).getfield(CPU, "r", LONGS).astore(R);
    b.aload(C).getfield(CPU, "readTlb", LONGS).astore(READ_TLB);
    b.aload(C).getfield(CPU, "writeTlb", LONGS).astore(WRITE_TLB);
    b.aload(C).getfield(CPU, "owner", OWNER).astore(PROCESSOR);
    b.aload(C).getfield(CPU, "flagResult", CD_long).lstore(FLAG_RESULT);
    b.aload(C).getfield(CPU, "flagCarry", CD_long).lstore(FLAG_CARRY);
    b.iconst_0().istore(SITE);
    loadRegisters(used);
    var resolve = b.newLabel();
    b.iload(LEFT).iflt(resolve);
    if (entries.size() == 1) {
      b.goto_(labels[0]);
    } else {
      var cases = new ArrayList<SwitchCase>();
      for (int i = 1; i < entries.size(); i++) {
        cases.add(SwitchCase.of(i, labels[entries.get(i).order]));
      }
      b.aload(C).getfield(CPU, "regionEntry", CD_int);
      b.tableswitch(1, entries.size() - 1, labels[0], cases);
    }
    b.labelBinding(resolve);
    // Resolve everything; no effect.
    storeFlags();
    b.aload(C).iconst_0().putfield(CPU, "regionSite", CD_int);
    b.aload(C).iload(LEFT).putfield(CPU, "regionBudget", CD_int);
    b.aload(C).getfield(CPU, "regionEntry", CD_int).pop();
    b.aload(C).lconst_0().putfield(CPU, "rip", CD_long);
    b.aload(C).getfield(CPU, "segmentBase", LONGS).pop();
    b.aload(C).getfield(CPU, "xmm", LONGS).pop();
    b.aload(PROCESSOR).getfield(OWNER, "attention", CD_int).pop();
    if (!called.isEmpty()) {
      b.getstatic(self, "OPERATIONS", OPERATION.arrayType()).iconst_0().aaload().pop();
    }
    memory.resolve();
    for (var call : calls) {
      for (var parameter : call.type.parameterList()) {
        if (parameter.equals(CD_long)) {
          b.getstatic(SUPPORT, "SCRATCH", CD_long);
        } else if (parameter.equals(CD_int)) {
          b.iconst_1();
        } else {
          b.aconst_null();
        }
      }
      b.invokestatic(call.owner, call.name, call.type);
      var result = call.type.returnType();
      if (result.equals(CD_long)) {
        b.pop2();
      } else if (!result.equals(CD_void)) {
        b.pop();
      }
    }
    b.aload(C).getfield(CPU, "regionThrown", CD_Throwable).pop();
    b.return_();
  }

  private void emitStubs() {
    stubs.forEach(Runnable::run);
    b.labelBinding(exit);
    writeBack(written);
    b.labelBinding(exitStored);
    b.aload(C).iload(SITE).putfield(CPU, "regionSite", CD_int);
    b.aload(C).iload(LEFT).putfield(CPU, "regionBudget", CD_int);
    b.return_();
  }

  /// After a call that notes what was thrown instead of throwing it.
  private void checkThrown(Label leave) {
    b.aload(C).getfield(CPU, "regionThrown", CD_Throwable).ifnonnull(leave);
  }

  private void writeBack(int which) {
    for (int i = 0; i < 16; i++) {
      if ((which & 1 << i) != 0) {
        memory.storeElement(R, i, LONG + 2 * i);
      }
    }
    storeFlags();
  }

  private void storeFlags() {
    b.aload(C).lload(FLAG_RESULT).putfield(CPU, "flagResult", CD_long);
    b.aload(C).lload(FLAG_CARRY).putfield(CPU, "flagCarry", CD_long);
  }

  private void loadRegisters(int which) {
    for (int i = 0; i < 16; i++) {
      if ((which & 1 << i) != 0) {
        memory.loadElement(R, i);
        b.lstore(LONG + 2 * i);
      }
    }
  }

  // ---- State
  // ----------------------------------------------------------------------------------------

  private State state() {
    return new State(intOnly, flags);
  }

  /// Code that brings longs and flags into their locals, in a stub: the state of what is emitted
  /// does not change.
  private void settle(State state) {
    settleRegisters(state.intOnly);
    settleFlags(state.flags);
  }

  private void settleRegisters(int which) {
    for (int i = 0; i < 16; i++) {
      if ((which & 1 << i) != 0) {
        b.iload(INT + i);
        extend();
        b.lstore(LONG + 2 * i);
      }
    }
  }

  private void settleFlags(RegionFlags flags) {
    if (flags.kind() != RegionFlags.Kind.STORED) {
      flagEmitter.store(flags);
    }
  }

  /// All longs and flags in their locals, here.
  void settle() {
    settle(state());
    intOnly = 0;
    flags = RegionFlags.STORED;
  }

  private void extend() {
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

  private int newSite(long rip, int notExecuted) {
    siteRip.add(rip);
    siteNotExecuted.add(notExecuted);
    return siteRip.size() - 1;
  }

  /// The site of the instruction under way.
  private int siteHere() {
    if (site < 0) {
      var operation = node.block.operations[instruction];
      site = newSite(node.offset + operation.start, node.block.instructions - instruction);
    }
    return site;
  }

  // ---- Registers
  // ------------------------------------------------------------------------------------

  /// Pushes all of a register. Numbers as in {@link Cpu#r}.
  void getLong(int register) {
    if (register == Cpu.ZERO) {
      b.lconst_0();
    } else if (register == Cpu.RIP_BASE) {
      b.lload(BASE);
      addConstant(node.offset);
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

  private void note(int register) {
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
      displacement += node.offset;
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
    if (m.offsetMask != -1L) {
      b.loadConstant(m.offsetMask).land();
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
  private void probe(int table, int size, Label miss) {
    memory.slot(ADDRESS, SLOT);
    memory.tableEntry(table, SLOT, 0);
    b.lload(ADDRESS);
    addConstant(size - 1);
    b.loadConstant(Tlb.PAGE_MASK).land().lcmp().ifne(miss);
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
  private Label leaving() {
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

  private void popValue(int size) {
    if (size == 8) {
      b.lstore(VALUE);
    } else {
      b.istore(VALUE);
    }
  }

  private void pushValue(int size) {
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

  // ---- Calls of operations
  // --------------------------------------------------------------------------

  private void emitCall(Operation operation) {
    int number = called.size();
    called.add(operation);
    int reads = operation.readsOnly();
    if (reads >= 0) {
      emitIsolatedCall(number, reads);
      return;
    }
    int here = siteHere();
    settle();
    writeBack(knownWritten);
    storeRipBase();
    b.loadConstant(here).istore(SITE);
    execute(number);
    checkThrown(exitStored);
    loadRegisters(knownUsed);
    b.aload(C).getfield(CPU, "flagResult", CD_long).lstore(FLAG_RESULT);
    b.aload(C).getfield(CPU, "flagCarry", CD_long).lstore(FLAG_CARRY);
    b.aload(C).getfield(CPU, "readTlb", LONGS).astore(READ_TLB);
    b.aload(C).getfield(CPU, "writeTlb", LONGS).astore(WRITE_TLB);
    if (operation.flow() == Operation.Flow.BRANCH) {
      afterBranch(operation);
    }
  }

  /// Calls an operation that reads some registers and changes none.
  private void emitIsolatedCall(int number, int reads) {
    for (int i = 0; i < 16; i++) {
      if ((reads & 1 << i) != 0) {
        getLong(i);
        b.lstore(VALUE);
        memory.storeElement(R, i, VALUE);
      }
    }
    if ((reads & 1 << Cpu.RIP_BASE) != 0) {
      storeRipBase();
    }
    execute(number);
    var thrown = b.newLabel();
    checkThrown(thrown);
    int here = siteHere();
    var state = state();
    stubs.add(
        () -> {
          b.labelBinding(thrown);
          settle(state);
          b.loadConstant(here).istore(SITE).goto_(exit);
        });
  }

  private void storeRipBase() {
    getLong(Cpu.RIP_BASE);
    b.lstore(VALUE);
    memory.storeElement(R, Cpu.RIP_BASE, VALUE);
  }

  private void execute(int number) {
    b.getstatic(self, "OPERATIONS", OPERATION.arrayType()).loadConstant(number).aaload();
    b.aload(C);
    invoke(SUPPORT, "execute", CD_void, OPERATION, CPU);
  }

  /// The operation has set RIP.
  private void afterBranch(Operation operation) {
    var next = node.next;
    if (operation.follow() == Operation.Follow.REPEAT && next != null) {
      b.aload(C).getfield(CPU, "rip", CD_long).lload(BASE);
      addConstant(node.offset + operation.end);
      b.lcmp().ifeq(edge(next));
    }
    leaveAt(newSite(Region.DYNAMIC, 0));
  }

  private void leaveAt(int number) {
    b.loadConstant(number).istore(SITE).goto_(exit);
    reachable = false;
  }

  // ---- Control flow
  // ---------------------------------------------------------------------------------

  private boolean killsFlags(Node to) {
    for (var operation : to.block.operations) {
      switch (operation.flagUse()) {
        case SETS -> {
          return true;
        }
        case ANY -> {
          return false;
        }
        case NONE -> {}
      }
    }
    return false;
  }

  /// The label of the way to a node, for a jump with the state as it is here. The code on that way,
  /// if any, is a stub.
  private Label edge(Node to) {
    if (follows(to)) {
      inherited[to.order] = state();
      return labels[to.order];
    }
    var state = state();
    boolean back = to.order <= node.order;
    boolean dead = killsFlags(to);
    if (!back && state.intOnly == 0 && (dead || state.flags.kind() == RegionFlags.Kind.STORED)) {
      return labels[to.order];
    }
    var way = b.newLabel();
    stubs.add(
        () -> {
          b.labelBinding(way);
          emitEdge(to, state, back, dead);
        });
    return way;
  }

  private void emitEdge(Node to, State state, boolean back, boolean dead) {
    settleRegisters(state.intOnly);
    if (!dead) {
      settleFlags(state.flags);
    }
    if (back) {
      var stop = b.newLabel();
      b.iload(LEFT).iflt(stop);
      b.aload(PROCESSOR).getfield(OWNER, "attention", CD_int).ifeq(labels[to.order]);
      b.labelBinding(stop);
      if (dead) {
        settleFlags(state.flags);
      }
      b.loadConstant(newSite(to.offset, 0)).istore(SITE).goto_(exit);
    } else {
      b.goto_(labels[to.order]);
    }
  }

  /// Goes to a node, or leaves for an address: the end of a block.
  private void goTo(@Nullable Node to, long offset) {
    if (to == null) {
      settle();
      leaveAt(newSite(offset, 0));
    } else if (follows(to)) {
      inherited[to.order] = state();
      if (to.order != node.order + 1) {
        b.goto_(labels[to.order]);
      }
    } else {
      emitEdge(to, state(), to.order <= node.order, killsFlags(to));
    }
    reachable = false;
  }

  /// Like {@link #edge}, or the way out for an address.
  private Label wayTo(@Nullable Node to, long offset) {
    if (to != null) {
      return edge(to);
    }
    var way = b.newLabel();
    var state = state();
    stubs.add(
        () -> {
          b.labelBinding(way);
          settle(state);
          b.loadConstant(newSite(offset, 0)).istore(SITE).goto_(exit);
        });
    return way;
  }

  private Operation operation() {
    return node.block.operations[instruction];
  }

  /// The end of a block without a jump.
  void next() {
    goTo(node.next, node.offset + operation().end);
  }

  void jump() {
    goTo(node.taken, node.offset + operation().target());
  }

  /// Jcc.
  void conditional(int condition) {
    var way = wayTo(node.taken, node.offset + operation().target());
    flagEmitter.branch(flags, condition, way);
    next();
  }

  void call() {
    b.lload(BASE);
    addConstant(node.offset + operation().end);
    push();
    jump();
  }

  /// Pops the target into {@link #VALUE2}; faults if it is not canonical.
  void popTarget() {
    b.lstore(VALUE2);
    b.lload(VALUE2).bipush(16).lshl().bipush(16).lshr().lload(VALUE2).lcmp().ifne(leaving());
  }

  /// Pushes the return address of an indirect call on the guest's stack.
  void pushReturn() {
    b.lload(BASE);
    addConstant(node.offset + operation().end);
    push();
  }

  /// Goes where {@link #VALUE2} says: to a target known, or out.
  void dispatch() {
    if (!node.targets.isEmpty()) {
      b.lload(VALUE2).lload(BASE).lsub().lstore(VALUE);
      for (var target : node.targets) {
        b.lload(VALUE).loadConstant(target.offset).lcmp().ifeq(edge(target));
      }
    }
    settle();
    b.aload(C).lload(VALUE2).putfield(CPU, "rip", CD_long);
    leaveAt(newSite(Region.DYNAMIC, 0));
  }

  /// RET.
  void ret(int release) {
    getLong(Cpu.RSP);
    loadStack();
    popTarget();
    getLong(Cpu.RSP);
    addConstant(8 + release);
    putLong(Cpu.RSP);
    dispatch();
  }

  // ---- Operands in the common forms: all return true, for Operation.emit
  // ------------------------------

  FlagEmitter flag() {
    return flagEmitter;
  }

  /// reg op= reg.
  boolean registerRegister(int operation, int size, int destination, int source) {
    get(destination, size);
    get(source, size);
    return finishBinary(operation, size, destination);
  }

  /// reg op= constant.
  boolean registerConstant(int operation, int size, int destination, long constant) {
    get(destination, size);
    constant(constant, size);
    return finishBinary(operation, size, destination);
  }

  /// reg op= memory.
  boolean registerMemory(int operation, int size, int destination, MemoryOperand m) {
    load(m, size);
    popValue(size);
    get(destination, size);
    pushValue(size);
    return finishBinary(operation, size, destination);
  }

  private boolean finishBinary(int operation, int size, int destination) {
    flagEmitter.binary(operation, size);
    if (!Arithmetic.comparesOnly(operation)) {
      put(destination, size);
    }
    return true;
  }

  /// memory op= reg.
  boolean memoryRegister(int operation, int size, MemoryOperand m, int source) {
    if (Arithmetic.comparesOnly(operation)) {
      load(m, size);
      get(source, size);
      flagEmitter.binary(operation, size);
    } else {
      update(
          m,
          size,
          () -> {
            get(source, size);
            flagEmitter.binary(operation, size);
          });
    }
    return true;
  }

  /// memory op= constant.
  boolean memoryConstant(int operation, int size, MemoryOperand m, long constant) {
    if (Arithmetic.comparesOnly(operation)) {
      load(m, size);
      constant(constant, size);
      flagEmitter.binary(operation, size);
    } else {
      update(
          m,
          size,
          () -> {
            constant(constant, size);
            flagEmitter.binary(operation, size);
          });
    }
    return true;
  }

  /// Changes a register or memory operand; not locked.
  boolean update(Form.Update operation, Runnable change) {
    int size = operation.size;
    var m = operation.memory;
    if (m != null) {
      update(m, size, change);
    } else {
      get(operation.register, size);
      change.run();
      put(operation.register, size);
    }
    return true;
  }

  /// Pushes a source operand.
  void source(Form.Source operation) {
    var m = operation.memory;
    if (m != null) {
      load(m, operation.size);
    } else {
      get(operation.register, operation.size);
    }
  }

  /// Pops into a local of the instruction under way.
  void storeValue(int size) {
    if (size == 8) {
      b.lstore(VALUE2);
    } else {
      b.istore(VALUE2);
    }
  }

  void loadValue(int size) {
    if (size == 8) {
      b.lload(VALUE2);
    } else {
      b.iload(VALUE2);
    }
  }

  /// Pops an int, extends its low bytes to a register.
  ///
  /// @param mask 32 or 64 ones
  void signExtend(int from, int destination, long mask) {
    if (from == 1) {
      b.i2b();
    } else if (from == 2) {
      b.i2s();
    }
    if (mask == -1L) {
      b.i2l();
      putLong(destination);
    } else {
      putInt(destination);
    }
  }

  /// CMOVcc: pops the value.
  void moveIf(int condition, int destination, int size) {
    storeValue(size);
    var yes = b.newLabel();
    var end = b.newLabel();
    // Before the ways part: it may bring locals into order.
    get(destination, size);
    if (size == 8) {
      b.lstore(VALUE);
    } else {
      b.istore(VALUE);
    }
    flagEmitter.branch(flags, condition, yes);
    pushValue(size);
    b.goto_(end);
    b.labelBinding(yes);
    loadValue(size);
    b.labelBinding(end);
    put(destination, size);
  }

  /// A shift of a register by a constant.
  boolean shift(int operation, int size, int destination, int count) {
    get(destination, size);
    flagEmitter.shift(operation, size, count, true);
    put(destination, size);
    return true;
  }

  /// A shift of a register by CL; 32 and 64 bits.
  boolean shiftByCl(int operation, int size, int destination) {
    get(destination, size);
    getInt(Cpu.RCX);
    flagEmitter.shiftBy(operation, size);
    put(destination, size);
    return true;
  }

  /// MUL and IMUL of 64 bits with a result of 128: pops the operand.
  void multiplyWide(boolean signed) {
    b.lstore(VALUE2);
    getLong(Cpu.RAX);
    b.lstore(VALUE);
    b.lload(VALUE).lload(VALUE2).lmul();
    b.dup2();
    putLong(Cpu.RAX);
    b.lload(VALUE).lload(VALUE2);
    invokeJava(
        Math.class, signed ? "multiplyHigh" : "unsignedMultiplyHigh", CD_long, CD_long, CD_long);
    b.dup2();
    putLong(Cpu.RDX);
    if (signed) {
      getLong(Cpu.RAX);
      b.bipush(63).lshr().lxor();
    }
    flagEmitter.multiplied();
  }

  /// MUL of 32 bits: pops the operand.
  void multiplyUnsigned32() {
    extend();
    getInt(Cpu.RAX);
    extend();
    b.lmul().lstore(VALUE);
    b.lload(VALUE).l2i();
    putInt(Cpu.RAX);
    b.lload(VALUE).bipush(32).lushr().l2i();
    putInt(Cpu.RDX);
    b.lload(VALUE).l2i().i2l().lload(VALUE).bipush(32).lushr();
    flagEmitter.multiplied();
  }

  /// Replaces two longs by their product; flags of a signed multiplication.
  void multiply64() {
    b.lstore(VALUE).lstore(VALUE2);
    b.lload(VALUE).lload(VALUE2).lmul();
    b.dup2();
    b.lload(VALUE).lload(VALUE2);
    flagEmitter.multipliedSigned();
  }

  /// Replaces two sign-extended longs by the low half of their product, an int; flags.
  void multiply32() {
    b.lmul().lstore(VALUE);
    b.lload(VALUE).l2i();
    b.dup().i2l();
    b.dup2().lload(VALUE).lxor();
    flagEmitter.multiplied();
  }

  /// BTS, BTR, BTC of a value on the stack.
  void change(int operation, int bit, int size) {
    long mask = 1L << bit;
    switch (operation) {
      case BitInstructions.SET -> {
        constant(mask, size);
        if (size == 8) {
          b.lor();
        } else {
          b.ior();
        }
      }
      case BitInstructions.RESET -> {
        constant(~mask, size);
        if (size == 8) {
          b.land();
        } else {
          b.iand();
        }
      }
      default -> {
        constant(mask, size);
        if (size == 8) {
          b.lxor();
        } else {
          b.ixor();
        }
      }
    }
  }

  // ---- For the class
  // --------------------------------------------------------------------------------

  static MethodTypeDesc runType() {
    return MethodTypeDesc.of(CD_void, CPU, CD_long, CD_int);
  }
}
