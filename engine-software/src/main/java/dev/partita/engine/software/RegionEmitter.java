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
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Makes the bytecode of a region: what {@link Operation#emit} works with.
///
/// This class has the blocks and the ways between them; {@link FormEmitter} the instructions in
/// their common forms; {@link OperandEmitter} registers, flags and memory. What is rarely executed
/// (misses in the TLB, exits, calls of operations) lies behind the blocks, in stubs that bring the
/// locals into order before they leave.
///
/// State is exact at every point that may fault: a stub sets the site (RIP and instructions not
/// executed), stores longs and flags in their locals, and the exception handler writes all back.
final class RegionEmitter extends FormEmitter {
  private final RegionShape shape;
  private final List<Node> order = new ArrayList<>();
  private final Label[] labels;
  private final @Nullable State[] inherited;
  private final FlagJoins joins;

  /// Operations that are called, in the order of their numbers.
  final List<Operation> called = new ArrayList<>();

  /// Where the region can be entered; the first node first.
  final List<Node> entries = new ArrayList<>();

  private static final int MAX_ENTRIES = 8;

  /// Targets of an indirect jump that are compared one after the other.
  private static final int MOST_COMPARED = 3;

  final List<Long> siteRip = new ArrayList<>();
  final List<Integer> siteNotExecuted = new ArrayList<>();

  /// The indirect jumps and returns, by the site where they leave the region.
  final Map<Integer, Node> indirect = new HashMap<>();
  private final boolean knowsRegisters;
  private final int knownUsed;
  private final int knownWritten;

  /// Leaves with registers and flags in the processor.
  private final Label exitStored;

  // Where the emission is.
  private Node node;
  private int instruction;
  private int site;
  private boolean reachable;

  /// Whether it calls operations with all registers that the region uses.
  boolean savesAll;

  /// Operations emitted inline, for statistics.
  int inline;

  /// @param optimized whether it is for the JVM's optimizing compiler
  /// @param first the emission of the same region before, whose registers are known; or null: then
  ///     the code is only right if it calls nothing
  RegionEmitter(
      CodeBuilder b,
      RegionShape shape,
      ClassDesc self,
      boolean optimized,
      @Nullable RegionEmitter first) {
    super(b, self, optimized);
    this.knowsRegisters = first != null;
    this.knownUsed = first == null ? 0 : first.used;
    this.knownWritten = first == null ? 0 : first.written;
    this.shape = shape;
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
    joins = new FlagJoins(this, order.size(), optimized, first == null ? null : first.joins);
    exitStored = b.newLabel();
    node = shape.entry();
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
      var start = killsFlags(each) ? RegionFlags.STORED : joins.start(each.order);
      state = new State(0, start, null, VectorEmitter.Known.NOTHING);
    }
    intOnly = state.intOnly();
    flags = state.flags();
    follow(state.origin());
    vector.know(state.vectors());
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
    if (optimized) {
      // The compiler then knows that they are there, and does not look at each access.
      b.aload(READ_TLB).arraylength().pop();
      b.aload(WRITE_TLB).arraylength().pop();
      b.aload(R).arraylength().pop();
      b.aload(PROCESSOR).getfield(OWNER, "attention", CD_int).pop();
    }
    if (vector.used) {
      b.aload(C).getfield(CPU, "xmm", LONGS).astore(XMM);
      b.aload(C).getfield(CPU, "mxcsr", CD_int).pop();
    }
    b.aload(C).getfield(CPU, "flagResult", CD_long).lstore(FLAG_RESULT);
    b.aload(C).getfield(CPU, "flagCarry", CD_long).lstore(FLAG_CARRY);
    b.iconst_0().istore(SITE);
    if (optimized) {
      b.iconst_0().istore(WAY);
    }
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
    resolveOdds();
    for (var call : calls) {
      for (var parameter : call.type().parameterList()) {
        if (parameter.equals(CD_long)) {
          b.getstatic(SUPPORT, "SCRATCH", CD_long);
        } else if (parameter.isPrimitive()) {
          b.iconst_1();
        } else {
          b.aconst_null();
        }
      }
      b.invokestatic(call.owner(), call.name(), call.type());
      var result = call.type().returnType();
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
    joins.inStubs = true;
    stubs.forEach(Runnable::run);
    b.labelBinding(exit);
    writeBack(written);
    b.labelBinding(exitStored);
    b.aload(C).iload(SITE).putfield(CPU, "regionSite", CD_int);
    b.aload(C).iload(LEFT).putfield(CPU, "regionBudget", CD_int);
    b.return_();
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

  private int newSite(long rip, int notExecuted) {
    siteRip.add(rip);
    siteNotExecuted.add(notExecuted);
    return siteRip.size() - 1;
  }

  @Override
  FlagJoins joins() {
    return joins;
  }

  /// Whether it has to be emitted again, with what is known now.
  boolean isPreliminary() {
    return joins.learned() || (savesAll && !knowsRegisters);
  }

  @Override
  long blockOffset() {
    return node.offset;
  }

  @Override
  int siteHere() {
    if (site < 0) {
      var operation = node.block.operations[instruction];
      int left = node.block.instructions - instruction;
      boolean inShadow = isSti(instruction - 1);
      site = newSite(node.offset + operation.start, inShadow ? left | Region.IN_SHADOW : left);
    }
    return site;
  }

  /// Whether the instruction with a number in the block is STI, after which interrupts are held
  /// back for one more.
  private boolean isSti(int number) {
    return number >= 0
        && node.block.operations[number] instanceof InterruptInstructions.SetInterruptFlag;
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
    savesAll = true;
    int here = siteHere();
    settle();
    writeBack(knownWritten);
    storeRipBase();
    b.loadConstant(here).istore(SITE);
    execute(number);
    checkThrown(exitStored);
    vector.forget();
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
    vector.forget();
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
    var meeting = joins.meeting(to.order, killsFlags(to), state);
    if (!back && state.intOnly() == 0 && meeting.isFree(state.flags())) {
      return labels[to.order];
    }
    var way = b.newLabel();
    stubs.add(
        () -> {
          b.labelBinding(way);
          emitEdge(to, state, back, meeting);
        });
    return way;
  }

  private void emitEdge(Node to, State state, boolean back, FlagJoins.Meeting meeting) {
    settleRegisters(state.intOnly());
    if (!meeting.isLate()) {
      settleFlags(state.flags());
    }
    if (meeting.way() >= 0) {
      b.loadConstant(meeting.way()).istore(WAY);
    }
    if (back) {
      var stop = b.newLabel();
      b.aload(PROCESSOR).getfield(OWNER, "attention", CD_int);
      b.iload(LEFT).bipush(31).ishr().ior();
      toBit();
      // Not a conditional jump back: the compiler would keep its operand for the safepoint there.
      if1(Odds.NEVER, stop);
      b.goto_(labels[to.order]);
      b.labelBinding(stop);
      if (meeting.isLate()) {
        settleFlags(state.flags());
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
      var state = state();
      var meeting = joins.meeting(to.order, killsFlags(to), state);
      emitEdge(to, state, to.order <= node.order, meeting);
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
    if (isSti(instruction - 2)) {
      // Interrupts that were held back come here, before another CLI.
      b.aload(PROCESSOR).getfield(OWNER, "attention", CD_int);
      b.ifne(wayTo(null, node.offset + operation().end));
    }
    goTo(node.next, node.offset + operation().end);
  }

  void jump() {
    goTo(node.taken, node.offset + operation().target());
  }

  /// Jcc.
  void conditional(int condition) {
    var way = wayTo(node.taken, node.offset + operation().target());
    var odds = odds();
    if (!tellsOdds || odds == Odds.EVEN) {
      flagEmitter.branch(flags, condition, way);
    } else if (odds.compareTo(Odds.EVEN) > 0) {
      flagEmitter.branch(flags, condition, way);
      insist(odds, way);
    } else {
      var stay = b.newLabel();
      flagEmitter.branch(flags, condition ^ 1, stay);
      insist(odds.negated(), stay);
      b.goto_(way);
      b.labelBinding(stay);
    }
    next();
  }

  /// The odds that the jump at the end of the block is taken.
  private Odds odds() {
    int taken = node.went(node.taken);
    int next = node.went(node.next);
    return node.taken == null
        ? Odds.of(node.went() - next, next)
        : Odds.of(taken, node.next == null ? node.went() - taken : next);
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
    b.lload(VALUE2).bipush(16).lshl().bipush(16).lshr().lload(VALUE2);
    differ();
    if1(Odds.NEVER, leaving());
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
      var targets = new ArrayList<>(node.targets);
      if (targets.size() > MOST_COMPARED) {
        targets.sort(Comparator.comparingLong(target -> target.offset));
      }
      dispatch(targets);
    }
    settle();
    b.aload(C).lload(VALUE2).putfield(CPU, "rip", CD_long);
    int number = newSite(Region.DYNAMIC, 0);
    indirect.put(number, node);
    leaveAt(number);
  }

  /// Goes to the target at the distance in {@link #VALUE}; falls through if it is none of them.
  /// Many are halved until few are left.
  private void dispatch(List<Node> targets) {
    if (targets.size() <= MOST_COMPARED) {
      Label way = null;
      for (var target : targets) {
        way = edge(target);
        b.lload(VALUE).loadConstant(target.offset).lcmp().ifeq(way);
      }
      if (way != null) {
        insist(Odds.ALWAYS, way);
      }
      return;
    }
    int half = targets.size() / 2;
    var upper = b.newLabel();
    var none = b.newLabel();
    b.lload(VALUE).loadConstant(targets.get(half).offset).lcmp().ifge(upper);
    dispatch(targets.subList(0, half));
    b.goto_(none);
    b.labelBinding(upper);
    dispatch(targets.subList(half, targets.size()));
    b.labelBinding(none);
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

  // ---- For the class
  // --------------------------------------------------------------------------------

  static MethodTypeDesc runType() {
    return MethodTypeDesc.of(CD_void, CPU, CD_long, CD_int);
  }
}
