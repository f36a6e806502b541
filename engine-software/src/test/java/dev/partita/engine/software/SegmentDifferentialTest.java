package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a program may do with segment registers and the like in user mode, against the host's
/// processor.
class SegmentDifferentialTest {
  private static final EngineProcessor ENGINE = withLinuxTable();

  @BeforeEach
  void needsTheHost() {
    NativeProcessor.require();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0f a0", // push fs
        "66 0f a8", // push word gs
        "0f a0 0f a9", // push fs; pop gs
        "66 0f a0 66 0f a9", // push word fs; pop word gs
        "8c c8", // mov eax, cs
        "48 8c d0", // mov rax, ss
        "66 8c d8", // mov ax, ds
        "8c 14 24", // mov [rsp], ss
        "48 8c 0c 24", // mov [rsp], cs with REX.W
        "b8 2b 00 00 00 0f 00 e0", // verr ax
        "b8 2b 00 00 00 0f 00 e8", // verw ax
        "b8 33 00 00 00 0f 00 e8", // verw of a code segment
        "31 c0 0f 00 e0", // verr of a null selector
        "b8 2b 00 00 00 0f 02 d8", // lar ebx, eax
        "b8 33 00 00 00 48 0f 02 d8", // lar rbx, eax
        "b8 33 00 00 00 66 0f 02 d8", // lar bx, ax
        "b8 33 00 00 00 0f 03 d8", // lsl ebx, eax
        "b8 10 00 00 00 0f 03 d8", // lsl of a kernel's segment
        "b8 10 00 00 00 0f 02 d8", // lar of a kernel's segment
      })
  void agreesWithTheHost(String hex) {
    var code = java.util.HexFormat.of().parseHex(hex.replace(" ", ""));
    var random = new Random(7);
    for (int i = 0; i < 50; i++) {
      var before = MachineState.random(random);
      assertThat(
              Differential.difference(
                  NativeProcessor.run(code, before),
                  ENGINE.execute(code, before),
                  Differential.ALL_FLAGS))
          .as(hex)
          .isEmpty();
    }
  }

  /// An engine's processor with a descriptor table as Linux has it.
  private static EngineProcessor withLinuxTable() {
    var processor = new EngineProcessor();
    var memory = processor.cpu().configuration.memory();
    memory.writeLong(0x5000 + 0x10, 0x00AF_9B00_0000_FFFFL);
    memory.writeLong(0x5000 + 0x18, 0x00CF_9300_0000_FFFFL);
    memory.writeLong(0x5000 + 0x28, 0x00CF_F300_0000_FFFFL);
    memory.writeLong(0x5000 + 0x30, 0x00AF_FB00_0000_FFFFL);
    // The first 2 MiB as one page of the supervisor's.
    memory.writeLong(0x3000, 0x83);
    processor.cpu().gdtrBase = 0x5000;
    processor.cpu().gdtrLimit = 0x7F;
    return processor;
  }
}
