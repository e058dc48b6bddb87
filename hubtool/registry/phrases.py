"""English and Chinese names of tasks, for the texts of cards and for searching."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Task -> (English, Chinese). A task of the vocabulary that is not listed here keeps its own name.
TASKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "audio": ("audio processing", "音频处理"),
        "audio-speech_recognition": ("speech recognition", "语音识别"),
        "audio-tagging": ("audio tagging", "音频标注"),
        "audio-text_to_speech": ("text-to-speech synthesis", "语音合成"),
        "cv": ("computer vision", "计算机视觉"),
        "cv-anomaly_detection": ("anomaly detection in images", "图像异常检测"),
        "cv-classification": ("image classification", "图像分类"),
        "cv-defect_detection": ("defect detection in images", "图像缺陷检测"),
        "cv-denoising": ("image denoising", "图像去噪"),
        "cv-depth_estimation": ("depth estimation", "深度估计"),
        "cv-deraining": ("removing rain from images", "图像去雨"),
        "cv-face_detection": ("face detection", "人脸检测"),
        "cv-face_recognition": ("face recognition", "人脸识别"),
        "cv-image_generation": ("image generation", "图像生成"),
        "cv-image_retrieval": ("image retrieval", "图像检索"),
        "cv-instance_segmentation": ("instance segmentation", "实例分割"),
        "cv-keypoint_detection": ("keypoint detection", "关键点检测"),
        "cv-object_detection": ("object detection", "目标检测"),
        "cv-object_tracking": ("object tracking", "目标跟踪"),
        "cv-pose_estimation": ("pose estimation", "姿态估计"),
        "cv-reidentification": ("re-identification", "重识别"),
        "cv-scene_text_detection": ("scene text detection", "场景文本检测"),
        "cv-scene_text_recognition": ("scene text recognition", "场景文本识别"),
        "cv-segmentation": ("image segmentation", "图像分割"),
        "cv-semantic_segmentation": ("semantic segmentation", "语义分割"),
        "cv-style_transfer": ("style transfer", "风格迁移"),
        "cv-super_resolution": ("super-resolution", "图像超分辨率"),
        "cv-video_classification": ("video classification", "视频分类"),
        "gnn": ("graph learning", "图神经网络"),
        "gnn-node_classification": ("node classification in graphs", "图节点分类"),
        "hpc": ("scientific computing", "高性能计算"),
        "mm": ("multimodal tasks", "多模态"),
        "mm-image_generation": ("image generation from text", "文生图"),
        "mm-video_generation": ("video generation from text", "文生视频"),
        "nlp": ("natural language processing", "自然语言处理"),
        "nlp-emotion_classification": ("emotion classification of text", "文本情感分类"),
        "nlp-language_modelling": ("language modelling", "语言模型"),
        "nlp-machine_translation": ("machine translation", "机器翻译"),
        "nlp-named_entity_recognition": ("named entity recognition", "命名实体识别"),
        "nlp-natural_language_understanding": ("natural language understanding", "自然语言理解"),
        "nlp-reading_comprehension": ("reading comprehension", "阅读理解"),
        "nlp-text_classification": ("text classification", "文本分类"),
        "nlp-text_generation": ("text generation", "文本生成"),
        "nlp-text_summarization": ("text summarization", "文本摘要"),
        "recommend": ("recommendation", "推荐"),
        "recommend-click_through_rate_prediction": ("click-through rate prediction", "点击率预估"),
        "rl": ("reinforcement learning", "强化学习"),
    }
)

# English words of cards and their Chinese translations, for searching only.
TRANSLATIONS: Mapping[str, str] = MappingProxyType(
    {
        "named entit": "命名实体识别",
        "question": "问答 阅读理解",
        "chinese": "中文",
        "classif": "分类",
        "segment": "分割",
        "detect": "检测",
        "recogni": "识别",
        "generat": "生成",
        "translat": "翻译",
        "sentiment": "情感分析",
        "pre-train": "预训练",
        "fine-tun": "微调",
        "image": "图像",
        "video": "视频",
        "text": "文本",
        "speech": "语音",
        "super-resolution": "超分辨率",
        "diffusion": "扩散模型",
        "distillation": "蒸馏",
    }
)


def translations(text: str) -> str:
    """Return the Chinese translations of words in an English text."""
    lowered = text.casefold()
    return " ".join(chinese for stem, chinese in TRANSLATIONS.items() if stem in lowered)


def task_words(task: str | None) -> tuple[str, str]:
    """Return the English and Chinese names of a task; both are empty if the card names none."""
    if not task:
        return "", ""
    plain = task.replace("-", " ", 1).replace("_", " ")
    return TASKS.get(task, (plain, ""))
