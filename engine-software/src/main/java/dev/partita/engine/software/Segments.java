package dev.partita.engine.software;

/// Loads of segment registers: checks, hidden parts, accessed bits. Intel SDM volume 2, "MOV" and
/// volume 3, 5.5 to 5.8.
final class Segments {
  /// Attributes of a segment in virtual-8086 mode: present, DPL 3, writable data, accessed.
  static final int VIRTUAL_8086_ATTRIBUTES = 0xF3;

  /// Attributes of a real-mode segment after reset: present, writable data, accessed.
  static final int REAL_ATTRIBUTES = 0x93;

  private Segments() {}

  /// MOV or POP to ES, SS, DS, FS or GS, and the selector of LDS and its like.
  static void load(Cpu c, int segment, int selector) {
    selector &= 0xFFFF;
    if (!c.protectedMode() || c.virtual8086()) {
      loadReal(c, segment, selector);
    } else if (segment == Cpu.SS) {
      loadStack(c, selector);
    } else {
      loadData(c, segment, selector);
    }
  }

  /// Real and virtual-8086 mode: the base follows from the selector. In real mode limit and rights
  /// stay what they were; only that makes "big real mode" work.
  static void loadReal(Cpu c, int segment, int selector) {
    c.segmentSelector[segment] = selector;
    c.segmentBase[segment] = (long) selector << 4;
    if (c.virtual8086()) {
      c.segmentLimit[segment] = 0xFFFF;
      c.segmentAttributes[segment] = VIRTUAL_8086_ATTRIBUTES;
    } else if ((c.segmentAttributes[segment] & Descriptor.UNUSABLE) != 0) {
      c.segmentLimit[segment] = 0xFFFF;
      c.segmentAttributes[segment] = REAL_ATTRIBUTES;
    }
  }

  private static void loadStack(Cpu c, int selector) {
    if (Descriptor.isNull(selector)) {
      if (!c.is64() || c.cpl == 3 || (selector & 3) != c.cpl) {
        throw c.generalProtection(0);
      }
      setNullStack(c, selector);
      return;
    }
    long raw = checkedStack(c, selector, c.cpl, GuestFault.GENERAL_PROTECTION);
    set(c, Cpu.SS, selector, raw, Descriptor.touch(c, selector, Descriptor.attributes(raw)));
  }

  /// Checks that a selector can be SS at a privilege level.
  ///
  /// @param vector of the fault if it cannot: general protection, or invalid TSS for the stack of
  ///     an inner level
  /// @return the descriptor
  static long checkedStack(Cpu c, int selector, int cpl, int vector) {
    if (Descriptor.isNull(selector)) {
      throw c.raise(vector, 0);
    }
    long raw = Descriptor.load(c, selector, vector);
    int attributes = Descriptor.attributes(raw);
    if ((selector & 3) != cpl
        || !Descriptor.isWritableData(attributes)
        || Descriptor.dpl(attributes) != cpl) {
      throw c.raise(vector, selector & 0xFFFC);
    }
    if (!Descriptor.present(attributes)) {
      throw c.raise(GuestFault.STACK_FAULT, selector & 0xFFFC);
    }
    return raw;
  }

  private static void loadData(Cpu c, int segment, int selector) {
    if (Descriptor.isNull(selector)) {
      setNull(c, segment, selector);
      return;
    }
    long raw = Descriptor.load(c, selector, GuestFault.GENERAL_PROTECTION);
    int attributes = Descriptor.attributes(raw);
    boolean code = (attributes & Descriptor.CODE) != 0;
    boolean usable =
        (attributes & Descriptor.SEGMENT) != 0
            && (!code || (attributes & Descriptor.READ_WRITE) != 0);
    if (usable && !Descriptor.isConforming(attributes)) {
      int dpl = Descriptor.dpl(attributes);
      usable = (selector & 3) <= dpl && c.cpl <= dpl;
    }
    if (!usable) {
      throw c.generalProtection(selector & 0xFFFC);
    }
    if (!Descriptor.present(attributes)) {
      throw c.raise(GuestFault.SEGMENT_NOT_PRESENT, selector & 0xFFFC);
    }
    set(c, segment, selector, raw, Descriptor.touch(c, selector, attributes));
  }

  /// Puts a checked descriptor into a register.
  static void set(Cpu c, int segment, int selector, long raw, int attributes) {
    c.segmentSelector[segment] = selector;
    c.segmentBase[segment] = Descriptor.base(raw);
    c.segmentLimit[segment] = Descriptor.limit(raw);
    c.segmentAttributes[segment] = attributes;
  }

  /// A flat segment, as SYSCALL and its like load without looking at memory.
  static void setFlat(Cpu c, int segment, int selector, int attributes) {
    c.segmentSelector[segment] = selector & 0xFFFF;
    c.segmentBase[segment] = 0;
    c.segmentLimit[segment] = -1;
    c.segmentAttributes[segment] = attributes;
  }

  static void setNull(Cpu c, int segment, int selector) {
    c.segmentSelector[segment] = selector;
    c.segmentBase[segment] = 0;
    c.segmentLimit[segment] = 0;
    c.segmentAttributes[segment] = Descriptor.UNUSABLE;
  }

  /// SS with a null selector, legal in 64-bit mode outside privilege level 3. It keeps the level as
  /// its DPL.
  static void setNullStack(Cpu c, int selector) {
    setNull(c, Cpu.SS, selector);
    c.segmentAttributes[Cpu.SS] = Descriptor.UNUSABLE | (selector & 3) << 5;
  }

  /// CS in real or virtual-8086 mode.
  static void setRealCode(Cpu c, int selector) {
    loadReal(c, Cpu.CS, selector & 0xFFFF);
  }

  /// Enters a code segment that was checked: CS with the new privilege in its RPL.
  static void setCode(Cpu c, int selector, long raw, int attributes, int cpl) {
    set(c, Cpu.CS, selector & 0xFFFC | cpl, raw, attributes);
    c.cpl = cpl;
  }

  /// After a return to an outer level: data segments that it may not use become null.
  static void dropInaccessible(Cpu c) {
    dropInaccessible(c, Cpu.ES);
    dropInaccessible(c, Cpu.DS);
    dropInaccessible(c, Cpu.FS);
    dropInaccessible(c, Cpu.GS);
  }

  private static void dropInaccessible(Cpu c, int segment) {
    int attributes = c.segmentAttributes[segment];
    if ((attributes & Descriptor.UNUSABLE) == 0
        && !Descriptor.isConforming(attributes)
        && Descriptor.dpl(attributes) < c.cpl) {
      setNull(c, segment, 0);
    }
  }

  /// Checks the offset that a far transfer goes to.
  ///
  /// @return the offset, cut as the target's mode has it
  static long checkedTarget(Cpu c, long raw, int attributes, long offset) {
    if (c.longMode() && (attributes & Descriptor.LONG) != 0) {
      if (!Cpu.canonical(offset)) {
        throw c.generalProtection(0);
      }
      return offset;
    }
    offset &= 0xFFFF_FFFFL;
    if (offset > (Descriptor.limit(raw) & 0xFFFF_FFFFL)) {
      throw c.generalProtection(0);
    }
    return offset;
  }
}
