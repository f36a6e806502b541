package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Descriptor-table registers (LGDT, SGDT, LIDT, SIDT, LLDT, SLDT, LTR, STR) and the instructions
/// that look at descriptors (LAR, LSL, VERR, VERW, ARPL).
final class DescriptorTables {
  private DescriptorTables() {}

  /// CR4.UMIP keeps SGDT, SIDT, SLDT, STR and SMSW from programs outside level 0.
  static void checkUserMode(Cpu c) {
    if (c.cpl != 0 && (c.cr4 & Cpu.CR4_UMIP) != 0) {
      throw c.generalProtection(0);
    }
  }

  private static void requireProtected(Cpu c) {
    if (!c.protectedMode() || c.virtual8086()) {
      throw c.invalidOpcode();
    }
  }

  private static void setZero(Cpu c, boolean on) {
    int flags = c.arithmeticFlags();
    c.setArithmeticFlags(on ? flags | Cpu.ZF : flags & ~Cpu.ZF);
  }

  /// 0F 00.
  static @Nullable Operation group6(Instruction i) {
    return switch (i.extension()) {
      case 0 -> new StoreSelector(false, i.rm, i.memory, i.operandSize);
      case 1 -> new StoreSelector(true, i.rm, i.memory, i.operandSize);
      case 2 -> new LoadSelector(false, i.rm, i.memory);
      case 3 -> new LoadSelector(true, i.rm, i.memory);
      case 4 -> new Verify(false, i.rm, i.memory);
      case 5 -> new Verify(true, i.rm, i.memory);
      default -> null;
    };
  }

  /// SGDT, SIDT.
  static final class StoreTable extends Operation {
    private final boolean interrupts;
    private final MemoryOperand memory;
    private final boolean wide;

    StoreTable(boolean interrupts, MemoryOperand memory, boolean wide) {
      this.interrupts = interrupts;
      this.memory = memory;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      checkUserMode(c);
      long base = interrupts ? c.idtrBase : c.gdtrBase;
      int limit = interrupts ? c.idtrLimit : c.gdtrLimit;
      // Both parts are checked before either is written.
      long limitAt = memory.address(c, 0, 2, true);
      long baseAt = memory.address(c, 2, wide ? 8 : 4, true);
      c.mmu.probeWrite(limitAt, 2);
      c.mmu.probeWrite(baseAt, wide ? 8 : 4);
      c.store16(limitAt, limit);
      if (wide) {
        c.store64(baseAt, base);
      } else {
        c.store32(baseAt, (int) base);
      }
    }
  }

  /// LGDT, LIDT.
  static final class LoadTable extends Operation {
    private final boolean interrupts;
    private final MemoryOperand memory;
    private final boolean wide;
    private final long baseMask;

    LoadTable(boolean interrupts, MemoryOperand memory, boolean wide, int operandSize) {
      this.interrupts = interrupts;
      this.memory = memory;
      this.wide = wide;
      this.baseMask = wide ? -1L : operandSize == 16 ? 0xFF_FFFF : 0xFFFF_FFFFL;
    }

    @Override
    void execute(Cpu c) {
      if (c.cpl != 0) {
        throw c.generalProtection(0);
      }
      int limit = c.load16(memory.address(c, 0, 2, false)) & 0xFFFF;
      long baseAt = memory.address(c, 2, wide ? 8 : 4, false);
      long base = (wide ? c.load64(baseAt) : c.load32(baseAt)) & baseMask;
      if (wide && !Cpu.canonical(base)) {
        throw c.generalProtection(0);
      }
      if (interrupts) {
        c.idtrBase = base;
        c.idtrLimit = limit;
      } else {
        c.gdtrBase = base;
        c.gdtrLimit = limit;
      }
    }
  }

  /// SLDT, STR.
  private static final class StoreSelector extends Operation {
    private final boolean task;
    private final int register;
    private final @Nullable MemoryOperand memory;
    private final int size;

    StoreSelector(boolean task, int register, @Nullable MemoryOperand memory, int size) {
      this.task = task;
      this.register = register;
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      requireProtected(c);
      checkUserMode(c);
      int selector = task ? c.trSelector : c.ldtrSelector;
      var m = memory;
      if (m != null) {
        m.store16(c, selector);
      } else if (size == 16) {
        c.set16(register, selector);
      } else {
        c.r[register] = selector;
      }
    }
  }

  /// LLDT, LTR.
  private static final class LoadSelector extends Operation {
    private final boolean task;
    private final int register;
    private final @Nullable MemoryOperand memory;

    LoadSelector(boolean task, int register, @Nullable MemoryOperand memory) {
      this.task = task;
      this.register = register;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      requireProtected(c);
      if (c.cpl != 0) {
        throw c.generalProtection(0);
      }
      var m = memory;
      int selector = (m != null ? m.load16(c) : c.get16(register)) & 0xFFFF;
      if (task) {
        loadTask(c, selector);
      } else {
        loadLocalTable(c, selector);
      }
    }

    private static void loadLocalTable(Cpu c, int selector) {
      if (Descriptor.isNull(selector)) {
        c.ldtrSelector = selector;
        c.ldtrBase = 0;
        c.ldtrLimit = 0;
        c.ldtrAttributes = Descriptor.UNUSABLE;
        return;
      }
      long raw = load(c, selector);
      int attributes = Descriptor.attributes(raw);
      if (Descriptor.systemType(attributes) != Descriptor.LDT) {
        throw c.generalProtection(selector & 0xFFFC);
      }
      long base = presentBase(c, selector, raw);
      c.ldtrSelector = selector;
      c.ldtrBase = base;
      c.ldtrLimit = Descriptor.limit(raw);
      c.ldtrAttributes = attributes;
    }

    private static void loadTask(Cpu c, int selector) {
      if (Descriptor.isNull(selector)) {
        throw c.generalProtection(0);
      }
      long raw = load(c, selector);
      int attributes = Descriptor.attributes(raw);
      int type = Descriptor.systemType(attributes);
      if (type != Descriptor.TSS && (type != Descriptor.TSS16 || c.longMode())) {
        throw c.generalProtection(selector & 0xFFFC);
      }
      long base = presentBase(c, selector, raw);
      // Available becomes busy: bit 1 of the type.
      attributes |= 2;
      Descriptor.storeType(c, selector, attributes);
      c.trSelector = selector;
      c.trBase = base;
      c.trLimit = Descriptor.limit(raw);
      c.trAttributes = attributes;
    }

    private static long load(Cpu c, int selector) {
      if ((selector & 4) != 0) {
        throw c.generalProtection(selector & 0xFFFC);
      }
      return Descriptor.load(c, selector, GuestFault.GENERAL_PROTECTION);
    }

    private static long presentBase(Cpu c, int selector, long raw) {
      if (!Descriptor.present(Descriptor.attributes(raw))) {
        throw c.raise(GuestFault.SEGMENT_NOT_PRESENT, selector & 0xFFFC);
      }
      long base = Descriptor.base(raw);
      if (c.longMode()) {
        long upper = Descriptor.loadUpper(c, selector, GuestFault.GENERAL_PROTECTION);
        base |= upper << 32;
        if (!Cpu.canonical(base) || (upper >>> 40 & 0x1F) != 0) {
          throw c.generalProtection(selector & 0xFFFC);
        }
      }
      return base;
    }
  }

  /// Whether a descriptor is visible at the current level through a selector's RPL.
  private static boolean visible(Cpu c, int selector, int attributes) {
    int dpl = Descriptor.dpl(attributes);
    return Descriptor.isConforming(attributes) || (c.cpl <= dpl && (selector & 3) <= dpl);
  }

  /// VERR, VERW.
  private static final class Verify extends Operation {
    private final boolean write;
    private final int register;
    private final @Nullable MemoryOperand memory;

    Verify(boolean write, int register, @Nullable MemoryOperand memory) {
      this.write = write;
      this.register = register;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      requireProtected(c);
      var m = memory;
      int selector = (m != null ? m.load16(c) : c.get16(register)) & 0xFFFF;
      setZero(c, verified(c, selector));
    }

    private boolean verified(Cpu c, int selector) {
      long address = Descriptor.isNull(selector) ? -1 : Descriptor.address(c, selector, 8);
      if (address == -1) {
        return false;
      }
      int attributes = Descriptor.attributes(c.mmu.loadSystem(address, 8));
      if ((attributes & Descriptor.SEGMENT) == 0 || !visible(c, selector, attributes)) {
        return false;
      }
      return write
          ? Descriptor.isWritableData(attributes)
          : !Descriptor.isCode(attributes) || (attributes & Descriptor.READ_WRITE) != 0;
    }
  }

  /// LAR, LSL.
  static final class LoadAccess extends Operation {
    // Bit n: system type n has rights, or a limit, to tell. SDM volume 2, tables of LAR and LSL.
    private static final int RIGHTS_LEGACY = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 0x1A00;
    private static final int RIGHTS_LONG = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12;
    private static final int LIMIT_LEGACY = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11;
    private static final int LIMIT_LONG = 1 << 2 | 1 << 9 | 1 << 11;

    private final boolean limit;
    private final int target;
    private final int register;
    private final @Nullable MemoryOperand memory;
    private final int size;

    LoadAccess(boolean limit, int target, int register, @Nullable MemoryOperand memory, int size) {
      this.limit = limit;
      this.target = target;
      this.register = register;
      this.memory = memory;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      requireProtected(c);
      var m = memory;
      int selector = (m != null ? m.load16(c) : c.get16(register)) & 0xFFFF;
      long address = Descriptor.isNull(selector) ? -1 : Descriptor.address(c, selector, 8);
      if (address == -1) {
        setZero(c, false);
        return;
      }
      long raw = c.mmu.loadSystem(address, 8);
      int attributes = Descriptor.attributes(raw);
      int type = Descriptor.systemType(attributes);
      int types =
          limit
              ? c.longMode() ? LIMIT_LONG : LIMIT_LEGACY
              : c.longMode() ? RIGHTS_LONG : RIGHTS_LEGACY;
      boolean known = type < 0 || (types & 1 << type) != 0;
      if (!known || !visible(c, selector, attributes)) {
        setZero(c, false);
        return;
      }
      int value = limit ? Descriptor.limit(raw) : (int) (raw >>> 32) & 0x00F0_FF00;
      if (size == 16) {
        c.set16(target, value);
      } else {
        c.set32(target, value);
      }
      setZero(c, true);
    }
  }

  /// ARPL; not in 64-bit mode.
  static final class AdjustLevel extends Operation {
    private final int register;
    private final int target;
    private final @Nullable MemoryOperand memory;

    AdjustLevel(int register, int target, @Nullable MemoryOperand memory) {
      this.register = register;
      this.target = target;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      requireProtected(c);
      int level = c.get16(register) & 3;
      var m = memory;
      long address = m != null ? m.writeAddress(c, 2) : 0;
      int selector = m != null ? (int) c.loadForUpdate(address, 2) & 0xFFFF : c.get16(target);
      boolean raised = (selector & 3) < level;
      if (raised) {
        selector = selector & ~3 | level;
      }
      if (m != null) {
        c.store16(address, selector);
      } else {
        c.set16(target, selector);
      }
      setZero(c, raised);
    }
  }
}
