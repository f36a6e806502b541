package dev.partita.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SelfTestTest {
  @Test
  void aHostWithoutHardwareVirtualizationIsRecognised() {
    var result = new KvmEngine().selfTest();
    System.out.println("KVM here: " + result);
    assertThat(result.reason()).isNotBlank();
    if (!Files.exists(Path.of("/dev/kvm")) || Files.exists(Path.of("/sys/module/kvm_pvm"))) {
      assertThat(result.works()).isFalse();
    }
  }
}
