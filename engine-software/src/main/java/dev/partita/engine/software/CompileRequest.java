package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_boolean;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_void;
import static java.lang.constant.ConstantDescs.CLASS_INIT_NAME;
import static java.lang.constant.ConstantDescs.INIT_NAME;

import java.lang.classfile.ClassFile;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Executable;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// Asks HotSpot to compile a method, now. By its own rules it would do so with the quick compiler
/// twice, first with counters that nobody reads, and then try the optimizing one.
///
/// HotSpot answers such requests for its own tests, with `-XX:+WhiteBoxAPI` (jvm.options), to a
/// class of one certain name. That class is made here. Where it cannot be, or the option is not
/// given, {@link #AVAILABLE} is false, and HotSpot's own rules hold.
///
/// HotSpot prints a warning for each of the hundreds of methods that its own class has and ours has
/// not. So it starts with its output off (`-XX:-DisplayVMOutput`), and our class turns that on.
final class CompileRequest {
  /// The quick compiler, without counters.
  static final int QUICK = 1;

  /// The optimizing compiler.
  static final int OPTIMIZING = 4;

  private static final ClassDesc TESTER = ClassDesc.of("jdk.test.whitebox.WhiteBox");
  private static final ClassDesc EXECUTABLE = ClassDesc.of(Executable.class.getName());
  private static final String NATIVE = "enqueueMethodForCompilation0";
  private static final String SET_FLAG = "setBooleanVMFlag";
  private static final String REQUEST = "request";

  /// What stands for a method as such, not for a loop in it.
  private static final int WHOLE_METHOD = -1;

  private static final @Nullable MethodHandle COMPILE = open();

  /// Whether requests are answered.
  static final boolean AVAILABLE = COMPILE != null;

  private CompileRequest() {}

  /// Compiles the code of a region, which has to have run once so that all that it refers to is
  /// resolved; waits for it if the JVM was told not to compile such code in the background.
  ///
  /// @param compiler {@link #QUICK} or {@link #OPTIMIZING}
  /// @return whether it was compiled or is going to be
  static boolean compile(RegionCode code, int compiler) {
    return compile(code.getClass(), "run", compiler, Cpu.class, long.class, int.class);
  }

  /// Compiles a method of the engine once and for all: code of the quick compiler without counters
  /// is never replaced. Left to HotSpot, a method that runs always and meets ever new classes may
  /// stay with the quick compiler's code with counters, which all processors write.
  static void compile(Class<?> owner, String name, Class<?>... parameters) {
    if (AVAILABLE) {
      compile(owner, name, QUICK, parameters);
    }
  }

  private static boolean compile(
      Class<?> owner, String name, int compiler, Class<?>... parameters) {
    try {
      Executable method = owner.getDeclaredMethod(name, parameters);
      return (boolean) Objects.requireNonNull(COMPILE).invokeExact(method, compiler);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static @Nullable MethodHandle open() {
    try {
      var type = JdkClass.define("jdk/test/whitebox/WhiteBox", tester());
      var request =
          MethodHandles.publicLookup()
              .findStatic(
                  type, REQUEST, MethodType.methodType(boolean.class, Executable.class, int.class));
      // Without the option the methods have no code: found out now.
      boolean done = (boolean) request.invokeExact(probe(), QUICK);
      return done ? request : null;
    } catch (Throwable e) {
      return null;
    }
  }

  private static Executable probe() throws NoSuchMethodException {
    return CompileRequest.class.getDeclaredMethod("nothing");
  }

  /// Compiled to see whether that is possible.
  private static void nothing() {}

  private static byte[] tester() {
    var compile = MethodTypeDesc.of(CD_boolean, EXECUTABLE, CD_int, CD_int);
    var setFlag = MethodTypeDesc.of(CD_void, ConstantDescs.CD_String, CD_boolean);
    return ClassFile.of()
        .build(
            TESTER,
            type ->
                type.withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_SUPER)
                    .withMethod(
                        "registerNatives",
                        ConstantDescs.MTD_void,
                        ClassFile.ACC_PRIVATE | ClassFile.ACC_STATIC | ClassFile.ACC_NATIVE,
                        method -> {})
                    .withMethod(
                        NATIVE, compile, ClassFile.ACC_PRIVATE | ClassFile.ACC_NATIVE, method -> {})
                    .withMethod(
                        SET_FLAG,
                        setFlag,
                        ClassFile.ACC_PRIVATE | ClassFile.ACC_NATIVE,
                        method -> {})
                    .withMethodBody(
                        CLASS_INIT_NAME,
                        ConstantDescs.MTD_void,
                        ClassFile.ACC_STATIC,
                        code ->
                            code.invokestatic(TESTER, "registerNatives", ConstantDescs.MTD_void)
                                .new_(TESTER)
                                .dup()
                                .invokespecial(TESTER, INIT_NAME, ConstantDescs.MTD_void)
                                .loadConstant("DisplayVMOutput")
                                .iconst_1()
                                .invokevirtual(TESTER, SET_FLAG, setFlag)
                                .return_())
                    .withMethodBody(
                        INIT_NAME,
                        ConstantDescs.MTD_void,
                        ClassFile.ACC_PRIVATE,
                        code ->
                            code.aload(0)
                                .invokespecial(
                                    ConstantDescs.CD_Object, INIT_NAME, MethodTypeDesc.of(CD_void))
                                .return_())
                    .withMethodBody(
                        REQUEST,
                        MethodTypeDesc.of(CD_boolean, EXECUTABLE, CD_int),
                        ClassFile.ACC_PUBLIC | ClassFile.ACC_STATIC,
                        code ->
                            code.new_(TESTER)
                                .dup()
                                .invokespecial(TESTER, INIT_NAME, ConstantDescs.MTD_void)
                                .aload(0)
                                .iload(1)
                                .loadConstant(WHOLE_METHOD)
                                .invokevirtual(TESTER, NATIVE, compile)
                                .ireturn()));
  }
}
