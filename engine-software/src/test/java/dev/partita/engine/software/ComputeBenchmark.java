package dev.partita.engine.software;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/// Measures how many guest instructions a second the execution loop does on small compute loops in
/// 64-bit mode. A program, not a test.
///
/// Arguments: seconds for each kernel (default 3, of which the last half counts), then names of
/// kernels (default all), or `code:` and machine code in hexadecimal.
final class ComputeBenchmark {
  /// A loop without end: machine code that uses {@link MachineState#MEMORY}.
  record Kernel(String name, String code) {}

  private static final List<Kernel> KERNELS =
      List.of(
          // add, xor, lea, dec, jnz
          new Kernel("count", "4801d84831c2488d4c410548ffcf75f0ebee"),
          // eight-byte loads and stores, indexed
          new Kernel(
              "copy", "be00003000bf00083000b980000000488b44cef8488944cff84801c2ffc975efebde"),
          // multiplication of long numbers by rows: mul, adc
          new Kernel(
              "bignum",
              "be00003000bf00083000b9400000004531c0488b0649f7e54c01c04883d2004801074883"
                  + "d2004989d04883c6084883c70883e90175dcebc8"),
          // the same as compilers emit it: mul, adc, setb, movzx
          new Kernel(
              "mulsetc",
              "be00003000b9400000004531c04531c94531d2488b44cef848f7264901c04911d10f92c0"
                  + "0fb6c04901c248ffc975e4ebcf"),
          // bytes up to a zero
          new Kernel("strlen", "bf000030000fb60748ffc73c4174f184c075f2ebeb"),
          // call, push, pop, ret
          new Kernel("calls", "bf64000000e806000000ffcf75f7ebf0534889fb4801d85bc3"),
          // rotates, shifts and logic of a hash function
          new Kernel(
              "hash",
              "be00003000b9400000004489c0c1c8064489c2c1ca0b31d04489ca4421c24431d201d003"
                  + "048e89c2c1ea034101c04101d141c1c20583e90175d0ebc4"),
          // unpredictable comparisons and branches
          new Kernel(
              "branchy",
              "4869c02df451584805051400004889c248c1ea2181fa00000040720d81fa000000607c15"
                  + "49ffc0ebd749ffc1f7c20100000075cc49ffcaebc74929d3ebc2"));

  private ComputeBenchmark() {}

  /// Runs it.
  public static void main(String[] arguments) {
    double seconds = arguments.length > 0 ? Double.parseDouble(arguments[0]) : 3;
    var kernels = new ArrayList<Kernel>();
    for (int i = 1; i < arguments.length; i++) {
      String wanted = arguments[i];
      KERNELS.stream().filter(k -> k.name.equals(wanted)).forEach(kernels::add);
      if (wanted.startsWith("code:")) {
        kernels.add(new Kernel(wanted, wanted.substring(5)));
      }
    }
    if (kernels.isEmpty()) {
      kernels.addAll(KERNELS);
    }
    // All kernels first, so that none is measured with code compiled for it alone.
    for (var kernel : KERNELS) {
      run(kernel, 0.4);
    }
    for (var kernel : kernels) {
      System.out.printf("%-10s %7.1f M instructions/s%n", kernel.name, run(kernel, seconds));
    }
  }

  /// Runs a kernel.
  ///
  /// @return million instructions in a second of this thread's processor time, in the second half
  private static double run(Kernel kernel, double seconds) {
    var engine = new EngineProcessor();
    engine.prepare(HexFormat.of().parseHex(kernel.code), new MachineState());
    var processor = engine.processor();
    var clock = ManagementFactory.getThreadMXBean();
    long start = clock.getCurrentThreadCpuTime();
    long warm = (long) (seconds * 5e8);
    long first = 0;
    long time = 0;
    long now = 0;
    while (now < 2 * warm) {
      processor.setBudget(200_000);
      processor.run((p, intercept) -> {});
      now = clock.getCurrentThreadCpuTime() - start;
      if (first == 0 && now > warm) {
        first = processor.instructionCount();
        time = now;
      }
    }
    return (processor.instructionCount() - first) * 1e3 / (now - time);
  }
}
