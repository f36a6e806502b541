package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.engine.kvm.KvmEngine;
import dev.partita.engine.kvm.SelfTest;
import dev.partita.hypervisor.PartitionException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class EnginesTest {
  @Test
  void anEngineThatIsNamedIsObeyed() {
    assertThat(Engines.named("kvm").engine().name()).isEqualTo("kvm");
    assertThat(Engines.named("software").engine().name()).isEqualTo("software");
    assertThat(Engines.names()).containsExactly("auto", "kvm", "software");
    assertThatThrownBy(() -> Engines.named("qemu"))
        .isInstanceOf(PartitionException.class)
        .hasMessage("no engine \"qemu\": there are auto, kvm, software");
  }

  @Test
  void autoTakesKvmOnlyIfItsTestSaysSo() {
    var good = Engines.choose(new KvmEngine(), true, () -> new SelfTest.Result(true, "fast"));
    assertThat(good.engine().name()).isEqualTo("kvm");
    assertThat(good.reason()).isEqualTo("fast");
    var bad = Engines.choose(new KvmEngine(), true, () -> new SelfTest.Result(false, "slow"));
    assertThat(bad.engine().name()).isEqualTo("software");
    assertThat(bad.reason()).isEqualTo("slow");
  }

  @Test
  void autoDoesNotTouchKvmWhereItIsNot() {
    var choice =
        Engines.choose(
            new KvmEngine(),
            false,
            () -> {
              throw new AssertionError("tried");
            });
    assertThat(choice.engine().name()).isEqualTo("software");
    assertThat(choice.reason()).contains("/dev/kvm");
  }

  @Test
  void autoTakesTheSoftwareEngineWhereKvmHasNoHardwareUnderIt() {
    if (Files.exists(Path.of("/sys/module/kvm_pvm")) || !Files.exists(Path.of("/dev/kvm"))) {
      assertThat(Engines.named(Engines.AUTO).engine().name()).isEqualTo("software");
    }
  }
}
