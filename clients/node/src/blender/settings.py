"""Puts the order over the scene's own settings and pins what must not vary between nodes.

Knows render settings of Blender 3.0 to 5.x; knows nothing of files, assets or reports.
"""

import bpy

from talk import Fault

EEVEES = ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE")
FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "EXR": "OPEN_EXR"}


def choose_picture(scene, order):
    render = scene.render
    # Blender clamps a side below 4 without a word, so tiny pictures go by way of the percentage.
    tiny = min(order["width"], order["height"]) < 4
    scale, render.resolution_percentage = (4, 25) if tiny else (1, 100)
    render.resolution_x, render.resolution_y = order["width"] * scale, order["height"] * scale
    render.use_border = render.use_crop_to_border = False


def engine_word(identifier):
    """Blender's engine identifier in the contract's word; others stay as they are."""
    return "EEVEE" if identifier in EEVEES else identifier


def choose_engine(scene, order):
    """The engine that will render, as the contract's word, or a fault that says who asked in vain."""
    asked, own = order["engine"], engine_word(scene.render.engine)
    if order["format"] != ".blend" and asked is None:
        asked = order["offers"][0]
    word = asked or own
    if word not in order["offers"]:
        offers = " and ".join(order["offers"])
        if asked:
            raise Fault("node", "engine_absent", "the order asks for %s, this node renders with %s" % (word, offers))
        text = "the scene asks for the engine %s, this node renders with %s; choose an engine in the order"
        raise Fault("scene", "engine_absent", text % (word[:60], offers))
    if word != own:
        for name in (word,) if word == "CYCLES" else EEVEES:
            try:
                scene.render.engine = name
                break
            except TypeError:  # Blender's way to say that it has no engine of this name
                continue
    if engine_word(scene.render.engine) != word:
        raise Fault("node", "engine_absent", "this node's Blender has no engine %s" % word)
    return word


def put(holder, **values):
    """Sets what this Blender has: some of these settings come and go with its versions."""
    for name, value in values.items():
        if hasattr(holder, name):
            setattr(holder, name, value)


def pin(scene, order):
    render = scene.render
    # Stereo pairs would be two files a frame; stamps and placeholders would not be the frame.
    put(render, use_multiview=False, use_stamp=False, use_overwrite=True, use_placeholder=False)
    put(render, use_render_cache=False, use_file_extension=True, dither_intensity=0.0)
    render.threads_mode, render.threads = "FIXED", order["threads"]
    pin_image(render.image_settings, order["output"])
    mute_file_outputs(scene)
    if engine_word(render.engine) == "CYCLES":
        pin_cycles(scene, order)
    elif order["samples"]:
        scene.eevee.taa_render_samples = order["samples"]


def pin_image(image, output):
    put(image, media_type="IMAGE")  # since 5.0: a video must first become a picture
    wide = image.color_depth in ("16", "32") and image.file_format.startswith("OPEN_EXR")
    depth = image.color_depth if wide else "16"
    image.file_format = FORMATS[output]
    if output == "JPEG":
        image.color_mode = "RGB"
        put(image, quality=92)
    elif output == "PNG":
        image.color_depth = "8"
        put(image, compression=15)
    else:
        image.color_depth = depth
        put(image, exr_codec="ZIP")


def mute_file_outputs(scene):
    """A compositor's file outputs would write beside the frames; only frames are asked for."""
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    for nodes in [tree] + list(bpy.data.node_groups):
        for node in nodes.nodes if nodes is not None else ():
            if node.bl_idname == "CompositorNodeOutputFile":
                node.mute = True


def pin_cycles(scene, order):
    cycles = scene.cycles
    if order["samples"]:
        cycles.samples = order["samples"]
    cycles.seed = order["seed"]
    # A limit in seconds would make the picture depend on the machine.
    put(cycles, time_limit=0)
    cycles.device = "GPU" if order["device"] == "GPU" and wake_gpu() else "CPU"
    if order["device"] == "GPU" and cycles.device != "GPU":
        raise Fault("node", "no_gpu", "the node offers a GPU, its Blender finds none")
    if not has_denoiser():
        cycles.use_denoising = False
        for layer in scene.view_layers:
            layer.cycles.use_denoising = False
    if not getattr(bpy.app.build_options, "cycles_osl", False):
        put(cycles, shading_system=False)


def has_denoiser():
    try:
        import _cycles

        return bool(_cycles.with_openimagedenoise)
    except (ImportError, AttributeError):
        return False


def wake_gpu():
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL"):
        try:
            preferences.compute_device_type = kind
            preferences.get_devices()
        except (TypeError, ValueError, AttributeError):
            continue
        chosen = [device for device in preferences.devices if device.type == kind]
        for device in preferences.devices:
            device.use = device in chosen
        if chosen:
            return True
    return False
