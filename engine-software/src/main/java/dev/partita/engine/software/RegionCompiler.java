package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_Class;
import static java.lang.constant.ConstantDescs.CD_MethodHandles_Lookup;
import static java.lang.constant.ConstantDescs.CD_Object;
import static java.lang.constant.ConstantDescs.CD_String;
import static java.lang.constant.ConstantDescs.CD_void;
import static java.lang.constant.ConstantDescs.CLASS_INIT_NAME;
import static java.lang.constant.ConstantDescs.INIT_NAME;

import java.lang.classfile.Attributes;
import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodHandles;
import org.jspecify.annotations.Nullable;

/// Turns a {@link RegionShape} into a {@link Region}: generates a hidden class and loads it. Hidden
/// classes are unloaded when nothing refers to their region any more.
final class RegionCompiler {
  /// HotSpot does not compile methods of more than 8,000 bytes, unless told to (jvm.options).
  static final int MAX_CODE = JvmOptions.missing().isEmpty() ? 16_000 : 8_000;

  /// A part of the code may have more bytes for a block than the whole.
  private static final double SAFETY = 0.95;

  private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();
  private static final ClassDesc SUPER = desc(RegionCode.class);
  private static final ClassDesc OPERATIONS = desc(Operation[].class);

  private RegionCompiler() {}

  private static ClassDesc desc(Class<?> type) {
    return type.describeConstable().orElseThrow();
  }

  /// The bytes of the class, and what belongs to them.
  record Generated(byte[] bytes, RegionEmitter emitter, int codeSize) {}

  /// Generates the class of a region.
  ///
  /// The class's name ends with the guest's RIP, for profilers and crash reports.
  ///
  /// @param optimized whether it is worth the JVM's optimizing compiler: the class's name tells the
  ///     JVM (jvm.options)
  static Generated generate(RegionShape shape, boolean optimized) {
    var generated = generate(shape, optimized, null);
    while (generated.emitter.isPreliminary()) {
      // Calls save and load all registers of the region: known only when all of it was emitted. And
      // flags where ways meet (FlagJoins).
      generated = generate(shape, optimized, generated.emitter);
    }
    return generated;
  }

  private static Generated generate(
      RegionShape shape, boolean optimized, @Nullable RegionEmitter first) {
    var name = (optimized ? "OptimizedRegion_" : "TranslatedRegion_") + Long.toHexString(shape.rip);
    var self = ClassDesc.of(RegionCode.class.getPackageName(), name);
    var holder = new RegionEmitter[1];
    byte[] bytes =
        ClassFile.of()
            .build(
                self,
                type -> {
                  type.withFlags(ClassFile.ACC_FINAL | ClassFile.ACC_SUPER).withSuperclass(SUPER);
                  type.withMethodBody(
                      INIT_NAME,
                      MethodTypeDesc.of(CD_void),
                      0,
                      code ->
                          code.aload(0)
                              .invokespecial(SUPER, INIT_NAME, MethodTypeDesc.of(CD_void))
                              .return_());
                  type.withMethodBody(
                      "run",
                      RegionEmitter.runType(),
                      ClassFile.ACC_FINAL,
                      code -> {
                        var emitter = new RegionEmitter(code, shape, self, optimized, first);
                        emitter.emitRegion();
                        holder[0] = emitter;
                      });
                  withFields(type, self, holder[0]);
                });
    return new Generated(bytes, holder[0], codeSize(bytes));
  }

  /// The fields with constants, and with the operations that are called.
  private static void withFields(ClassBuilder type, ClassDesc self, RegionEmitter emitter) {
    boolean calls = !emitter.called.isEmpty();
    emitter.memory.declare(type);
    if (calls) {
      type.withField("OPERATIONS", OPERATIONS, ClassFile.ACC_STATIC | ClassFile.ACC_FINAL);
    }
    type.withMethodBody(
        CLASS_INIT_NAME,
        MethodTypeDesc.of(CD_void),
        ClassFile.ACC_STATIC,
        code -> {
          emitter.memory.initialize(code);
          if (calls) {
            initializeOperations(code, self);
          }
          code.return_();
        });
  }

  private static void initializeOperations(CodeBuilder code, ClassDesc self) {
    code.invokestatic(
            desc(MethodHandles.class), "lookup", MethodTypeDesc.of(CD_MethodHandles_Lookup))
        .ldc("_")
        .loadConstant(OPERATIONS)
        .invokestatic(
            desc(MethodHandles.class),
            "classData",
            MethodTypeDesc.of(CD_Object, CD_MethodHandles_Lookup, CD_String, CD_Class))
        .checkcast(OPERATIONS)
        .putstatic(self, "OPERATIONS", OPERATIONS);
  }

  private static int codeSize(byte[] bytes) {
    return ClassFile.of().parse(bytes).methods().stream()
        .filter(method -> method.methodName().equalsString("run"))
        .flatMap(method -> method.findAttribute(Attributes.code()).stream())
        .mapToInt(CodeAttribute::codeLength)
        .sum();
  }

  /// Translates a region.
  static Region compile(RegionShape whole, boolean optimized) {
    var shape = whole;
    var generated = generate(shape, optimized);
    while (generated.codeSize > MAX_CODE && shape.nodes.size() > 1) {
      shape = shape.smaller(SAFETY * MAX_CODE / generated.codeSize);
      generated = generate(shape, optimized);
    }
    var emitter = generated.emitter;
    RegionCode code;
    try {
      var type =
          LOOKUP.defineHiddenClassWithClassData(
              generated.bytes, emitter.called.toArray(new Operation[0]), false);
      code =
          (RegionCode)
              type.findConstructor(
                      type.lookupClass(), java.lang.invoke.MethodType.methodType(void.class))
                  .invoke();
    } catch (Throwable e) {
      throw new IllegalStateException("a region that does not load", e);
    }
    return new Region(
        shape,
        optimized,
        shape.nodes.stream().map(node -> node.block).toArray(Block[]::new),
        shape.pageDistance,
        shape.pageOffset,
        code,
        emitter.entries.stream().map(node -> node.block).toArray(Block[]::new),
        emitter.entries.stream().mapToLong(node -> node.offset).toArray(),
        emitter.siteRip.stream().mapToLong(Long::longValue).toArray(),
        emitter.siteNotExecuted.stream().mapToInt(Integer::intValue).toArray(),
        emitter.indirect,
        generated.codeSize,
        emitter.inline,
        emitter.called.size());
  }
}
