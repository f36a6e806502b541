package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;
import static java.lang.constant.ConstantDescs.CD_int;

import java.lang.classfile.Annotation;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.attribute.RuntimeVisibleAnnotationsAttribute;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/// How often a branch in the code of a region is taken. The JVM's optimizing compiler is told:
/// else it has to guess. It takes "not equal" for frequent, so a miss in the TLB; and where it has
/// counted a little it takes what did not happen for impossible, and the code ends there.
///
/// HotSpot has a way to be told, for the JDK's method handles: `MethodHandleImpl.profileBoolean`,
/// which gives back its first argument; the second, an array, says how often that was false and
/// how often true. A method in its package, made here, hands it on.
enum Odds {
  NEVER(1 << 20, 1),
  SELDOM(64, 1),
  LESS(6, 1),
  EVEN(1, 1),
  MORE(1, 6),
  OFTEN(1, 64),
  ALWAYS(1, 1 << 20);

  /// HotSpot takes sums of less than 40 for too few.
  private static final int SCALE = 64;

  private static final ClassDesc TELLER = ClassDesc.of("java.lang.invoke.PartitaOdds");
  private static final String TELL = "tell";
  private static final ClassDesc COUNTS = CD_int.arrayType();
  private static final MethodTypeDesc TELL_TYPE = MethodTypeDesc.of(CD_int, CD_int, COUNTS);

  /// The arrays, for the code of regions: for the compiler they are constants.
  static final class Counts {
    static final int[] NEVER = Odds.NEVER.counts();
    static final int[] SELDOM = Odds.SELDOM.counts();
    static final int[] LESS = Odds.LESS.counts();
    static final int[] EVEN = Odds.EVEN.counts();
    static final int[] MORE = Odds.MORE.counts();
    static final int[] OFTEN = Odds.OFTEN.counts();
    static final int[] ALWAYS = Odds.ALWAYS.counts();

    private Counts() {}
  }

  private static final ClassDesc HOLDER = Counts.class.describeConstable().orElseThrow();

  /// Whether the compiler can be told.
  static final boolean AVAILABLE = open();

  private final int not;
  private final int yes;

  Odds(int not, int yes) {
    this.not = not;
    this.yes = yes;
  }

  private int[] counts() {
    return new int[] {not * SCALE / Math.min(not, yes), yes * SCALE / Math.min(not, yes)};
  }

  /// The nearest to what was counted.
  static Odds of(int taken, int not) {
    // One more of each: what did not happen in a short while may still.
    double ratio = (taken + 1.0) / (not + 1.0);
    if (ratio < 1) {
      return ratio > 0.4 ? EVEN : ratio > 0.05 ? LESS : SELDOM;
    }
    return ratio < 2.5 ? EVEN : ratio < 20 ? MORE : OFTEN;
  }

  /// The odds of the opposite.
  Odds negated() {
    return values()[values().length - 1 - ordinal()];
  }

  /// Leaves the int on the stack, which is 0 or 1 (HotSpot takes it for a boolean); these are the
  /// odds that it is 1. The next instruction has to be the branch that asks.
  void tell(CodeBuilder b) {
    b.getstatic(HOLDER, name(), COUNTS).invokestatic(TELLER, TELL, TELL_TYPE);
  }

  /// Code that resolves all that {@link #tell} refers to, without effect.
  static void resolve(CodeBuilder b) {
    for (var each : values()) {
      b.iconst_0();
      each.tell(b);
      b.pop();
    }
  }

  private static boolean open() {
    try {
      var type = JdkClass.define("java/lang/invoke/PartitaOdds", teller());
      var tell =
          MethodHandles.publicLookup()
              .findStatic(type, TELL, MethodType.methodType(int.class, int.class, int[].class));
      return (int) tell.invokeExact(0, new int[2]) == 0
          && (int) tell.invokeExact(1, new int[2]) == 1;
    } catch (Throwable e) {
      return false;
    }
  }

  private static byte[] teller() {
    var inline = Annotation.of(ClassDesc.of("jdk.internal.vm.annotation.ForceInline"));
    return ClassFile.of()
        .build(
            TELLER,
            type ->
                type.withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_SUPER)
                    .withMethod(
                        TELL,
                        TELL_TYPE,
                        ClassFile.ACC_PUBLIC | ClassFile.ACC_STATIC,
                        method ->
                            method
                                .with(RuntimeVisibleAnnotationsAttribute.of(inline))
                                .withCode(
                                    code ->
                                        code.iload(0)
                                            .aload(1)
                                            .invokestatic(
                                                ClassDesc.of("java.lang.invoke.MethodHandleImpl"),
                                                "profileBoolean",
                                                MethodTypeDesc.of(CD_boolean, CD_boolean, COUNTS))
                                            .ireturn())));
  }
}
