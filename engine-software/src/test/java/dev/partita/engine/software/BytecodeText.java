package dev.partita.engine.software;

import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeModel;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/// The code of a region as text that people can compare: one instruction a line, with the names of
/// locals and guest registers, labels numbered in their order.
final class BytecodeText {
  private static final String[] REGISTERS = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
  };

  private static final Map<Integer, String> LOCALS =
      Map.ofEntries(
          Map.entry(0, "this"),
          Map.entry(OperandEmitter.C, "cpu"),
          Map.entry(OperandEmitter.BASE, "base"),
          Map.entry(OperandEmitter.LEFT, "left"),
          Map.entry(OperandEmitter.R, "r"),
          Map.entry(OperandEmitter.READ_TLB, "readTlb"),
          Map.entry(OperandEmitter.WRITE_TLB, "writeTlb"),
          Map.entry(OperandEmitter.PROCESSOR, "processor"),
          Map.entry(OperandEmitter.SITE, "site"),
          Map.entry(OperandEmitter.FLAG_RESULT, "flagResult"),
          Map.entry(OperandEmitter.FLAG_CARRY, "flagCarry"),
          Map.entry(OperandEmitter.ADDRESS, "address"),
          Map.entry(OperandEmitter.VALUE, "value"),
          Map.entry(OperandEmitter.VALUE2, "value2"),
          Map.entry(OperandEmitter.HOST, "host"),
          Map.entry(OperandEmitter.SLOT, "slot"));

  private final StringBuilder text = new StringBuilder();
  private final Map<Label, String> labels = new HashMap<>();

  private BytecodeText() {}

  /// The method `run` of a class.
  static String of(byte[] type) {
    var writer = new BytecodeText();
    for (var method : ClassFile.of().parse(type).methods()) {
      if (method.methodName().equalsString("run")) {
        method.code().ifPresent(writer::write);
      }
    }
    return writer.text.toString();
  }

  private void write(CodeModel code) {
    for (var element : code) {
      if (element instanceof LabelTarget target) {
        labels.put(target.label(), "L" + labels.size());
      }
    }
    for (var element : code) {
      switch (element) {
        case LabelTarget target -> text.append(labels.get(target.label())).append(":\n");
        case Instruction instruction ->
            text.append("  ")
                .append(
                    instruction.opcode().name().toLowerCase(Locale.ROOT).replaceAll("_[0-9]$", ""))
                .append(operands(instruction))
                .append('\n');
        default -> {}
      }
    }
  }

  private String operands(Instruction instruction) {
    return switch (instruction) {
      case LoadInstruction load -> " " + local(load.slot());
      case StoreInstruction store -> " " + local(store.slot());
      case IncrementInstruction i -> " " + local(i.slot()) + " " + i.constant();
      case ConstantInstruction constant -> " " + constant.constantValue();
      case BranchInstruction branch -> " " + labels.get(branch.target());
      case FieldInstruction field ->
          " " + last(field.owner().asInternalName()) + "." + field.name().stringValue();
      case InvokeInstruction call ->
          " " + last(call.owner().asInternalName()) + "." + call.name().stringValue();
      default -> "";
    };
  }

  private static String last(String name) {
    return name.substring(name.lastIndexOf('/') + 1);
  }

  private static String local(int slot) {
    var name = LOCALS.get(slot);
    if (name != null) {
      return name;
    }
    if (slot >= OperandEmitter.LONG && slot < OperandEmitter.LONG + 32) {
      return REGISTERS[(slot - OperandEmitter.LONG) / 2];
    }
    if (slot >= OperandEmitter.INT && slot < OperandEmitter.INT + 16) {
      return REGISTERS[slot - OperandEmitter.INT] + "/32";
    }
    return "local" + slot;
  }
}
