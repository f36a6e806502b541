package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Every VEX encoding in 64-bit mode is valid or not as on a real processor: prefix, map, opcode,
/// W, L, and whether VEX.vvvv and memory are allowed.
class VexEncodingTest {
  private static final List<String> PREFIXES = List.of("NP", "66", "F3", "F2");
  private static final List<String> MAPS = List.of("", "0F", "0F38", "0F3A");
  private static final String NONE = "-".repeat(16);

  private final EngineProcessor engine = new EngineProcessor();

  private static Map<String, String> truth() throws IOException {
    var truth = new HashMap<String, String>();
    try (var in = VexEncodingTest.class.getResourceAsStream("vex-encodings.txt")) {
      if (in == null) {
        throw new IOException("vex-encodings.txt is missing");
      }
      var text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      for (String line : VexForms.lines(text)) {
        int at = line.lastIndexOf(' ');
        truth.put(line.substring(0, at), line.substring(at + 1));
      }
    }
    return truth;
  }

  private static boolean immediate(int map, int opcode) {
    return map == 3
        || (map == 1
            && ((opcode >= 0x70 && opcode <= 0x73)
                || opcode == 0xC2
                || (opcode >= 0xC4 && opcode <= 0xC6)));
  }

  private boolean valid(int pp, int map, int opcode, int reg, int variant) {
    int w = variant >> 3 & 1;
    int l = variant >> 2 & 1;
    int v = variant & 2;
    boolean memory = (variant & 1) != 0;
    var code = new byte[8];
    code[0] = (byte) 0xC4;
    code[1] = (byte) (0xE0 | map);
    code[2] = (byte) (w << 7 | (~v & 15) << 3 | l << 2 | pp);
    code[3] = (byte) opcode;
    int length = 4;
    if (map != 1 || opcode != 0x77) {
      code[length++] = (byte) (reg << 3 | (memory ? 4 : 0xC3));
      if (memory) {
        code[length++] = 0x18;
      }
      length += immediate(map, opcode) ? 1 : 0;
    }
    var state = new MachineState();
    state.general[Cpu.RAX] = MachineState.MEMORY + 0x100;
    state.general[Cpu.RDI] = MachineState.MEMORY + 0x200;
    int vector = engine.executeToFault(Arrays.copyOf(code, length), state);
    assertThat(vector).isIn(-1, GuestFault.INVALID_OPCODE);
    return vector < 0;
  }

  @Test
  void encodingsAreValidAsOnARealProcessor() throws IOException {
    var truth = truth();
    for (int map = 1; map <= 3; map++) {
      for (int pp = 0; pp < 4; pp++) {
        for (int opcode = 0; opcode < 256; opcode++) {
          boolean group =
              (map == 1 && ((opcode >= 0x71 && opcode <= 0x73) || opcode == 0xAE))
                  || (map == 2 && opcode == 0xF3);
          for (int reg = 0; reg < 8; reg++) {
            if (!group && reg != 1) {
              continue;
            }
            var name =
                "%s %s %02X%s"
                    .formatted(PREFIXES.get(pp), MAPS.get(map), opcode, group ? "/" + reg : "");
            var verdicts = new StringBuilder();
            for (int variant = 0; variant < 16; variant++) {
              verdicts.append(valid(pp, map, opcode, reg, variant) ? '+' : '-');
            }
            assertThat(verdicts.toString()).as(name).isEqualTo(truth.getOrDefault(name, NONE));
          }
        }
      }
    }
  }
}
