package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_Object;
import static java.lang.constant.ConstantDescs.CD_byte;
import static java.lang.constant.ConstantDescs.CD_char;
import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;
import static java.lang.constant.ConstantDescs.CD_short;
import static java.lang.constant.ConstantDescs.CD_void;

import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.nio.ByteOrder;

/// How the code of regions reads and writes memory that was checked already: guest RAM by the
/// host's address, and elements of arrays that are there by construction.
///
/// Two ways. {@link Portable} uses {@link Raw} and array instructions. {@link Direct} uses the
/// JDK's internal memory access, if the launcher has opened it to this module (jvm.options): the
/// quick compiler spends about a fifth of the time on it, and its code is faster. See
/// docs/decisions/0004-translator.md.
abstract sealed class MemoryEmitter {
  final OperandEmitter e;
  final CodeBuilder b;

  private MemoryEmitter(OperandEmitter e) {
    this.e = e;
    this.b = e.b;
  }

  /// Whether the direct way is open.
  static final boolean DIRECT =
      ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN
          && !Boolean.getBoolean("partita.portable")
          && Object.class
              .getModule()
              .isExported("jdk.internal.misc", MemoryEmitter.class.getModule());

  static MemoryEmitter of(OperandEmitter e) {
    return DIRECT ? new Direct(e) : new Portable(e);
  }

  /// Stores in a local the place of an address in a TLB's table, as {@link #tableEntry} wants it.
  abstract void slot(int address, int local);

  /// Pushes a word of a TLB's entry.
  ///
  /// @param word 0 the tag, 1 what to add
  abstract void tableEntry(int table, int slot, int word);

  /// Pushes an element of an array of longs.
  abstract void loadElement(int array, int index);

  /// Stores a local in an element of an array of longs.
  abstract void storeElement(int array, int index, int value);

  /// Pushes what is at the address in a local: a long for 8 bytes, else an int, zero-extended.
  abstract void load(int size, int address);

  /// Stores a local at the address in a local.
  abstract void store(int size, int address, int value);

  /// Declares the fields that the code needs in its class.
  void declare(ClassBuilder type) {}

  /// Sets them: a part of the class's initialization.
  void initialize(CodeBuilder code) {}

  /// Loads longs from the address in a local and behind it, to locals one after the other.
  abstract void loadLongs(int address, int count, int local);

  /// Stores longs at the address in a local and behind it.
  abstract void storeLongs(int address, int... locals);

  /// Code that resolves all references, without effect.
  void resolve() {}

  final void push(int local, int size) {
    if (size == 8) {
      b.lload(local);
    } else {
      b.iload(local);
    }
  }

  /// With the class library's public interfaces.
  static final class Portable extends MemoryEmitter {
    private Portable(OperandEmitter e) {
      super(e);
    }

    @Override
    void slot(int address, int local) {
      b.lload(address).bipush(11).lushr().l2i().loadConstant(2 * Tlb.INDEX_MASK).iand();
      b.istore(local);
    }

    @Override
    void tableEntry(int table, int slot, int word) {
      b.aload(table).iload(slot);
      if (word != 0) {
        b.iconst_1().ior();
      }
      b.laload();
    }

    @Override
    void loadElement(int array, int index) {
      b.aload(array).bipush(index).laload();
    }

    @Override
    void storeElement(int array, int index, int value) {
      b.aload(array).bipush(index).lload(value).lastore();
    }

    @Override
    void load(int size, int address) {
      b.lload(address);
      switch (size) {
        case 1 -> e.invoke(OperandEmitter.RAW, "getByte", CD_int, CD_long);
        case 2 -> e.invoke(OperandEmitter.RAW, "getShort", CD_int, CD_long);
        case 4 -> e.invoke(OperandEmitter.RAW, "getInt", CD_int, CD_long);
        default -> e.invoke(OperandEmitter.RAW, "getLong", CD_long, CD_long);
      }
    }

    @Override
    void store(int size, int address, int value) {
      b.lload(address);
      push(value, size);
      switch (size) {
        case 1 -> e.invoke(OperandEmitter.RAW, "setByte", CD_void, CD_long, CD_int);
        case 2 -> e.invoke(OperandEmitter.RAW, "setShort", CD_void, CD_long, CD_int);
        case 4 -> e.invoke(OperandEmitter.RAW, "setInt", CD_void, CD_long, CD_int);
        default -> e.invoke(OperandEmitter.RAW, "setLong", CD_void, CD_long, CD_long);
      }
    }

    @Override
    void loadLongs(int address, int count, int local) {
      for (int i = 0; i < count; i++) {
        b.lload(address);
        e.addConstant(8L * i);
        e.invoke(OperandEmitter.RAW, "getLong", CD_long, CD_long);
        b.lstore(local + 2 * i);
      }
    }

    @Override
    void storeLongs(int address, int... locals) {
      for (int i = 0; i < locals.length; i++) {
        b.lload(address);
        e.addConstant(8L * i);
        b.lload(locals[i]);
        e.invoke(OperandEmitter.RAW, "setLong", CD_void, CD_long, CD_long);
      }
    }
  }

  /// With the JDK's internal memory access.
  static final class Direct extends MemoryEmitter {
    private static final ClassDesc UNSAFE = ClassDesc.of("jdk.internal.misc.Unsafe");

    private static final String FIELD = "UNSAFE";

    /// Where an array's first element is, from the start of the array.
    private static final long FIRST = first();

    private Direct(OperandEmitter e) {
      super(e);
    }

    private static long first() {
      try {
        var field = Class.forName("jdk.internal.misc.Unsafe").getField("ARRAY_LONG_BASE_OFFSET");
        return field.getType() == int.class ? field.getInt(null) : field.getLong(null);
      } catch (ReflectiveOperationException e) {
        throw new ExceptionInInitializerError(e);
      }
    }

    @Override
    void declare(ClassBuilder type) {
      type.withField(FIELD, UNSAFE, ClassFile.ACC_STATIC | ClassFile.ACC_FINAL);
    }

    @Override
    void initialize(CodeBuilder code) {
      code.invokestatic(UNSAFE, "getUnsafe", MethodTypeDesc.of(UNSAFE));
      code.putstatic(e.self, FIELD, UNSAFE);
    }

    private void unsafe() {
      // A constant of the class: a call of getUnsafe() costs the compilers more.
      b.getstatic(e.self, FIELD, UNSAFE);
    }

    private void call(String name, ClassDesc result, ClassDesc... parameters) {
      b.invokevirtual(UNSAFE, name, MethodTypeDesc.of(result, parameters));
    }

    /// The entry's distance from the start of the table.
    @Override
    void slot(int address, int local) {
      // Two words of eight bytes an entry: page number times 16.
      b.lload(address).bipush(8).lushr().loadConstant(Tlb.INDEX_MASK * 16L).land();
      b.lstore(local);
    }

    @Override
    void tableEntry(int table, int slot, int word) {
      unsafe();
      b.aload(table).lload(slot).loadConstant(FIRST + 8 * word).ladd();
      call("getLong", CD_long, CD_Object, CD_long);
    }

    @Override
    void loadElement(int array, int index) {
      unsafe();
      b.aload(array).loadConstant(FIRST + 8 * index);
      call("getLong", CD_long, CD_Object, CD_long);
    }

    @Override
    void storeElement(int array, int index, int value) {
      unsafe();
      b.aload(array).loadConstant(FIRST + 8 * index).lload(value);
      call("putLong", CD_void, CD_Object, CD_long, CD_long);
    }

    @Override
    void load(int size, int address) {
      unsafe();
      b.lload(address);
      switch (size) {
        case 1 -> {
          call("getByte", CD_byte, CD_long);
          b.loadConstant(0xFF).iand();
        }
        case 2 -> call("getChar", CD_char, CD_long);
        case 4 -> call("getInt", CD_int, CD_long);
        default -> call("getLong", CD_long, CD_long);
      }
      unsafe();
      call("loadFence", CD_void);
    }

    @Override
    void store(int size, int address, int value) {
      unsafe();
      call("storeFence", CD_void);
      unsafe();
      b.lload(address);
      push(value, size);
      switch (size) {
        case 1 -> {
          b.i2b();
          call("putByte", CD_void, CD_long, CD_byte);
        }
        case 2 -> {
          b.i2s();
          call("putShort", CD_void, CD_long, CD_short);
        }
        case 4 -> call("putInt", CD_void, CD_long, CD_int);
        default -> call("putLong", CD_void, CD_long, CD_long);
      }
    }

    @Override
    void loadLongs(int address, int count, int local) {
      for (int i = 0; i < count; i++) {
        unsafe();
        b.lload(address);
        e.addConstant(8L * i);
        call("getLong", CD_long, CD_long);
        b.lstore(local + 2 * i);
      }
      unsafe();
      call("loadFence", CD_void);
    }

    @Override
    void storeLongs(int address, int... locals) {
      unsafe();
      call("storeFence", CD_void);
      for (int i = 0; i < locals.length; i++) {
        unsafe();
        b.lload(address);
        e.addConstant(8L * i);
        b.lload(locals[i]);
        call("putLong", CD_void, CD_long, CD_long);
      }
    }

    @Override
    void resolve() {
      b.getstatic(OperandEmitter.SUPPORT, "SCRATCH", CD_long).lstore(OperandEmitter.ADDRESS);
      b.lconst_0().lstore(OperandEmitter.VALUE2);
      b.iconst_0().istore(OperandEmitter.VALUE);
      for (int size = 1; size <= 8; size *= 2) {
        load(size, OperandEmitter.ADDRESS);
        if (size == 8) {
          b.pop2();
        } else {
          b.pop();
        }
        store(
            size, OperandEmitter.ADDRESS, size == 8 ? OperandEmitter.VALUE2 : OperandEmitter.VALUE);
      }
      b.getstatic(OperandEmitter.SUPPORT, "WORDS", CD_long.arrayType())
          .astore(OperandEmitter.ARRAY);
      loadElement(OperandEmitter.ARRAY, 0);
      b.lstore(OperandEmitter.VALUE2);
      storeElement(OperandEmitter.ARRAY, 0, OperandEmitter.VALUE2);
    }
  }
}
